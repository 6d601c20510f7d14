//! The fields of an account that evidence supports, and their share of all told fields.

use std::{borrow::Cow, collections::BTreeSet, ops::Bound};

use crate::pb::{
    Account, Announcement, DateSpan, Delegation, Evidence, ExternalId, Link, Office, Outcome, Participation, Place,
    Report, Statement, Stop,
};

/// Fields with the words of the article, and a field of the same message that these words state.
/// Evidence for the words supports that field too.
const WORDS: [(&str, &str); 4] =
    [("name_as_written", "participant"), ("speaker_as_written", "speakers"), ("literal", "start"), ("literal", "end")];

/// The fields that evidence supports, by path.
pub struct Supported<'a>(BTreeSet<Cow<'a, str>>);

impl<'a> Supported<'a> {
    /// The fields that this evidence, whose paths are in proto names, supports. Stale evidence supports none.
    pub fn by(evidence: &'a [Evidence]) -> Self {
        let cited: BTreeSet<&str> =
            evidence.iter().filter(|cited| !cited.stale).map(|cited| cited.field.as_str()).collect();
        let stated = cited.iter().flat_map(|path| stated_by(path)).map(Cow::Owned);
        Self(cited.iter().copied().map(Cow::Borrowed).chain(stated).collect())
    }

    /// True if there is evidence for the field, for a field that it is part of, for a part of it, or for its words.
    pub fn has(&self, path: &str) -> bool {
        self.has_whole(path) || self.has_part(path)
    }

    /// True if there is evidence for the field or for a field that it is part of.
    fn has_whole(&self, path: &str) -> bool {
        let mut ends = path.match_indices(['.', '[']).map(|(end, _)| end).chain([path.len()]);
        ends.any(|end| self.0.contains(&path[..end]))
    }

    /// True if there is evidence for a part of the field.
    fn has_part(&self, path: &str) -> bool {
        ['.', '['].into_iter().any(|separator| {
            let prefix = format!("{path}{separator}");
            let next = self.0.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded)).next();
            next.is_some_and(|part| part.starts_with(&*prefix))
        })
    }
}

/// The share of the told fields of an account that have evidence: see `Report.evidence_coverage`. The paths of the
/// evidence are in proto names.
fn coverage(account: &Account, evidence: &[Evidence]) -> f32 {
    let supported = Supported::by(evidence);
    if supported.0.is_empty() {
        return 0.0;
    }
    let told = told(account);
    let count = told.iter().filter(|path| supported.has(path)).count();
    share(count as i64, told.len() as i64) // sizes in memory: they fit
}

/// Sets `evidence_coverage`.
pub fn set_coverage(report: &mut Report) {
    let account = report.account.as_ref();
    report.evidence_coverage = account.map_or(0.0, |account| coverage(account, &report.evidence));
}

/// The mean of shares; 0 without any.
pub fn mean_share(shares: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = shares.len() as i64 * THOUSANDTHS;
    share(shares.map(thousandths).sum(), count)
}

/// A share as a number of thousandths, in which shares are stored and compared.
pub fn thousandths(share: f32) -> i64 {
    (share * THOUSANDTHS as f32).round() as i64
}

const THOUSANDTHS: i64 = 1_000;

/// A share, rounded down to thousandths, so that only a whole is 1. 0 of nothing.
fn share(part: i64, whole: i64) -> f32 {
    let thousandths = (part * THOUSANDTHS).checked_div(whole).unwrap_or_default();
    thousandths as f32 / THOUSANDTHS as f32
}

/// A value of a field, which may be unset.
trait Told {
    /// True unless the field is unset.
    fn is_told(&self) -> bool;
}

macro_rules! told {
    ($($type:ty: $is_told:expr),* $(,)?) => {
        $(impl Told for $type {
            fn is_told(&self) -> bool {
                let is_told: fn(&Self) -> bool = $is_told;
                is_told(self)
            }
        })*
    };
}

told! {
    bool: |value| *value,
    i32: |number| *number != 0,
    String: |text| !text.is_empty(),
    Vec<i32>: |list| !list.is_empty(),
    Vec<String>: |list| !list.is_empty(),
    Option<DateSpan>: Option::is_some,
    Option<Place>: Option::is_some,
    Option<Office>: Option::is_some,
    Option<Announcement>: Option::is_some,
    Option<ExternalId>: Option::is_some,
}

/// The names of the told fields among those in the first braces. The second braces have the rest of the message: a new
/// field does not compile until it is in one of them.
macro_rules! told_fields {
    ($message:expr, $type:ident { $($field:ident),* } { $($rest:tt)* }) => {{
        let $type { $($field,)* $($rest)* } = $message;
        [$((stringify!($field), $field.is_told())),*].into_iter().filter(|(_, is_told)| *is_told).map(|(name, _)| name)
    }};
}

/// The paths of the told fields of an account. External ids are keys that registers give, as ids are: no article tells
/// them.
fn told(account: &Account) -> Vec<String> {
    let Account { delegations, participations, statements, outcomes, links, stops, .. } = account;
    let own = told_fields!(account,
        Account { kind, status, title, summary, topics, date, place, announcement, initiator, visit_type }
        { delegations: _, participations: _, statements: _, outcomes: _, links: _, external_ids: _, stops: _ });
    let mut told: Vec<String> = own.map(str::to_owned).collect();
    let mut add = |list: &str, index: usize, name: &str| told.push(format!("{list}[{index}].{name}"));
    for (at, delegation) in delegations.iter().enumerate() {
        told_fields!(delegation,
            Delegation { label, region_code, organization, kind, head, stated_size, complete } { id: _ })
        .for_each(|name| add("delegations", at, name));
    }
    for (at, participation) in participations.iter().enumerate() {
        told_fields!(participation,
            Participation { participant, name_as_written, roles, presence, office, rank, region_code, delegation,
                on_behalf_of } { id: _, participant_kind: _ })
        .for_each(|name| add("participations", at, name));
    }
    for (at, statement) in statements.iter().enumerate() {
        told_fields!(statement,
            Statement { speaker_kind, speakers, addressees, speaker_as_written, verb, act, quotation, text,
                language_code, topics, continues } { id: _, report: _ })
        .for_each(|name| add("statements", at, name));
    }
    for (at, outcome) in outcomes.iter().enumerate() {
        told_fields!(outcome, Outcome { kind, title, uri, date } { report: _ })
            .for_each(|name| add("outcomes", at, name));
    }
    for (at, link) in links.iter().enumerate() {
        told_fields!(link, Link { kind, meeting, external_id } { report: _ }).for_each(|name| add("links", at, name));
    }
    for (at, stop) in stops.iter().enumerate() {
        told_fields!(stop, Stop { place, date } {}).for_each(|name| add("stops", at, name));
    }
    told
}

/// The paths of the fields that the words at this path state.
fn stated_by(path: &str) -> impl Iterator<Item = String> {
    let (message, name) = path.rsplit_once('.').unwrap_or_default();
    let stated = WORDS.iter().filter(move |(words, _)| *words == name);
    stated.map(move |(_, stated)| format!("{message}.{stated}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::{Kind, Value};

    use super::*;
    use crate::model::{evidence::fields::Fields, settle::tests::accounts::any_account};

    /// The paths of the told fields of a reflected account.
    fn told_by_reflection(account: &Fields) -> Vec<String> {
        let mut told = Vec::new();
        let fields = account.message().fields().filter(|(field, _)| field.name() != "external_ids");
        for (field, value) in fields {
            match (field.kind(), value) {
                (Kind::Message(_), Value::List(items)) => {
                    let items = items.iter().enumerate().filter_map(|(index, item)| Some((index, item.as_message()?)));
                    for (index, item) in items {
                        let parts = item.fields().filter(|(part, _)| part.name() != "id");
                        told.extend(parts.map(|(part, _)| format!("{}[{index}].{}", field.name(), part.name())));
                    }
                }
                _ => told.push(field.name().to_owned()),
            }
        }
        told
    }

    proptest! {
        #[test]
        fn told_fields_are_the_set_fields_of_the_message(account in any_account()) {
            let outcome = Outcome { title: "Plan".into(), date: Some(DateSpan::default()), ..Default::default() };
            let by_id = Link { external_id: Some(ExternalId::default()), ..Default::default() };
            let links = vec![Link::default(), Link { meeting: "#visit".into(), ..Default::default() }, by_id];
            let account = Account { outcomes: vec![outcome], links, ..account };
            let told: BTreeSet<String> = told(&account).into_iter().collect();
            prop_assert_eq!(told, told_by_reflection(&Fields::of(&account)).into_iter().collect());
        }
    }

    #[test]
    fn coverage_is_rounded_down_and_one_only_of_a_whole() {
        let cite = |field: &str, stale| Evidence { field: field.into(), stale, ..Default::default() };
        let account = Account { kind: 1, status: 1, title: "Talks".into(), ..Default::default() };
        let all = [cite("kind", false), cite("status", false), cite("title", false)];
        assert_eq!(coverage(&account, &[]), 0.0);
        assert_eq!(coverage(&account, &all[..1]), 0.333);
        assert_eq!(coverage(&account, &all[..2]), 0.666);
        assert_eq!(coverage(&account, &all), 1.0);
        assert_eq!(coverage(&account, &[cite("kind", true)]), 0.0, "stale");
        assert_eq!(coverage(&Account::default(), &all), 0.0, "nothing is told");
        assert_eq!(mean_share([1.0, 0.0, 0.0].into_iter()), 0.333);
        assert_eq!(mean_share([].into_iter()), 0.0);
        // 999 of 1,000 reports have all evidence, and one has nearly all.
        assert_eq!(mean_share([1.0; 999].into_iter().chain([0.999]).collect::<Vec<_>>().into_iter()), 0.999);
    }
}
