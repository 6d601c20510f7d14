//! Rules on reports: equality of content, size, and the participants that they mean. `partial` decodes parts of them.

mod partial;

use std::{borrow::Cow, collections::HashMap};

use prost::Message;
use uuid::Uuid;

pub use self::partial::{decode_for_settling, decode_for_view};
use super::{
    canonical,
    evidence::{IndexedText, clear_redundant_offsets},
    resource::Collection,
    rules::ClearOutput,
};
use crate::pb::{Account, Evidence, Omission, Participation, Report};

/// The version of the rule that computes `content_hash`. Incremented when the rule changes.
pub const CONTENT_VERSION: i16 = 2;

/// The canonical content of a report in the form in which it was sent: with `#keys` instead of names, without output
/// fields, and without offsets that follow from the quote and `text`. Equal content compares equal.
pub fn content(sent: &Report, text: Option<&IndexedText<'_>>) -> Report {
    let mut content = sent.clone();
    clear_marks(&mut content);
    text.iter().for_each(|text| clear_redundant_offsets(&mut content.evidence, text));
    canonical::content(content)
}

/// BLAKE3 over the encoded content, as 64 hexadecimal digits. Two reports with the same article and hash are the same
/// report.
pub fn content_hash(content: &Report) -> String {
    blake3::hash(&content.encode_to_vec()).to_hex().to_string()
}

/// The `content_hash` of version 1, which depends on the spelling of the message.
pub fn content_hash_v1(mut sent: Report) -> String {
    clear_marks(&mut sent);
    content_hash(&sent)
}

fn clear_marks(report: &mut Report) {
    report.clear_output();
    report.name.clear();
    report.article.clear();
}

/// True if a stored report has this content. For reports with a hash of version 1: the current hash cannot be computed
/// from a stored report, which has names instead of `#keys`, and all offsets.
///
/// `may_refer_to` decides if the key of a participant can refer to the participant with a name. It is called for
/// participations without a `name_as_written`.
pub fn has_content(stored: &Report, content: &Report, may_refer_to: impl Fn(&str, &str) -> bool) -> bool {
    let mut stored = self::content(stored, None);
    let has_no_offsets = |evidence: &Evidence| (evidence.start, evidence.end) == (0, 0);
    for (stored, _) in stored.evidence.iter_mut().zip(&content.evidence).filter(|(_, sent)| has_no_offsets(sent)) {
        (stored.start, stored.end) = (0, 0);
    }
    if let (Some(stored), Some(sent)) = (&mut stored.account, &content.account)
        && !restore_keys(stored, sent, may_refer_to)
    {
        return false;
    }
    stored == *content
}

/// Replaces names by the `#keys` of `sent`. Returns `false` if a key cannot refer to the name in its place.
fn restore_keys(stored: &mut Account, sent: &Account, may_refer_to: impl Fn(&str, &str) -> bool) -> bool {
    let mut participant_keys = KeyNames::default();
    let participations = stored.participations.iter_mut().zip(&sent.participations);
    let participants_match =
        participations.filter(|(_, sent)| sent.participant.starts_with('#')).all(|(stored, sent)| {
            let (key, name) = (&sent.participant[1..], &mut stored.participant);
            (!sent.name_as_written.is_empty() || may_refer_to(key, name))
                && participant_keys.restore(&sent.participant, name)
        });
    let mut meeting_keys = KeyNames::default();
    let links = stored.links.iter_mut().zip(&sent.links);
    let mut links = links.filter(|(_, sent)| sent.meeting.starts_with('#'));
    participants_match && links.all(|(stored, sent)| meeting_keys.restore(&sent.meeting, &mut stored.meeting))
}

/// The resource name that each `#key` refers to.
#[derive(Default)]
struct KeyNames(HashMap<String, String>);

impl KeyNames {
    /// Replaces a name by its key. Returns `false` if the name is empty, or the key already refers to another name.
    fn restore(&mut self, key: &str, name: &mut String) -> bool {
        let name = std::mem::replace(name, key.to_owned());
        !name.is_empty() && *self.0.entry(key.to_owned()).or_insert_with(|| name.clone()) == name
    }
}

/// The bytes of what a caller reports: of a report without the fields that the service sets when it writes it.
pub fn reported_bytes(report: &Report) -> usize {
    let Report { name, etag, revision, create_time, update_time, meeting, evidence_coverage, .. } = report;
    let own = Report {
        name: name.clone(),
        etag: etag.clone(),
        revision: *revision,
        create_time: *create_time,
        update_time: *update_time,
        meeting: meeting.clone(),
        evidence_coverage: *evidence_coverage,
        ..Default::default()
    };
    report.encoded_len() - own.encoded_len()
}

/// The report without its large fields, if it has more than `max_bytes`. `omission` has its size.
pub fn within(report: Report, max_bytes: usize) -> Report {
    let bytes = report.encoded_len();
    if bytes <= max_bytes {
        return report;
    }
    let omission = Some(Omission { record_bytes: bytes as i64, ..Default::default() }); // a size in memory: it fits
    Report { account: None, evidence: Vec::new(), omission, ..report }
}

/// Participants that are settled as another one, each with that one.
pub type Aliases = HashMap<Uuid, Uuid>;

/// The participant that a participation of a report means: that of its binding, or the one that the account names.
pub fn meant_participant(report: &Report, participation: &Participation) -> Option<Uuid> {
    let binding = report.bindings.iter().find(|binding| binding.participation == participation.id);
    let name = binding.map_or(&participation.participant, |binding| &binding.participant);
    Collection::Participants.id(name)
}

/// The report with the participants that its participations mean: bound ones replaced by their bindings, and aliases by
/// the settled participants.
pub fn resolved<'a>(report: &'a Report, aliases: &Aliases) -> Cow<'a, Report> {
    let is_alias = |id: Uuid| aliases.contains_key(&id);
    let named = || report.account.iter().flat_map(participants);
    if report.bindings.is_empty() && (aliases.is_empty() || !named().any(is_alias)) {
        return Cow::Borrowed(report);
    }
    let mut resolved = report.clone();
    for participation in resolved.account.iter_mut().flat_map(|account| &mut account.participations) {
        if let Some(meant) = meant_participant(report, participation) {
            let settled = aliases.get(&meant).copied().unwrap_or(meant);
            participation.participant = Collection::Participants.name(settled);
        }
    }
    Cow::Owned(resolved)
}

/// The external ids by which a report links to meetings: scheme and value.
pub fn ids_of_links(report: &Report) -> impl Iterator<Item = (&str, &str)> {
    let links = report.account.iter().flat_map(|account| &account.links);
    links.filter_map(|link| link.external_id.as_ref()).map(|id| (id.scheme.as_str(), id.value.as_str()))
}

/// The report, with the meetings of its links by external id: those of `linked`, by scheme and value.
pub fn with_links<'a>(report: Cow<'a, Report>, linked: &HashMap<(String, String), Uuid>) -> Cow<'a, Report> {
    if linked.is_empty() || ids_of_links(&report).next().is_none() {
        return report;
    }
    let mut report = report.into_owned();
    for link in report.account.iter_mut().flat_map(|account| &mut account.links) {
        let id = link.external_id.as_ref().map(|id| (id.scheme.clone(), id.value.clone()));
        if let Some(meeting) = id.and_then(|id| linked.get(&id)) {
            link.meeting = Collection::Meetings.name(*meeting);
        }
    }
    Cow::Owned(report)
}

/// Ids of the participants that a report refers to, with repetitions: those that its account names, and those of its
/// bindings.
pub fn referenced_participants(report: &Report) -> impl Iterator<Item = Uuid> {
    let bound = report.bindings.iter().filter_map(|binding| Collection::Participants.id(&binding.participant));
    report.account.iter().flat_map(participants).chain(bound)
}

/// Ids of the participants that an account names, in the order of participations, with repetitions.
pub fn participants(account: &Account) -> impl Iterator<Item = Uuid> {
    account.participations.iter().filter_map(|participation| Collection::Participants.id(&participation.participant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Link, Place, participation::Role};

    fn sent() -> Report {
        let participation = |id: &str, name: &str, roles: &[Role]| Participation {
            id: id.into(),
            participant: format!("#{id}"),
            name_as_written: name.into(),
            roles: roles.iter().map(|role| *role as i32).collect(),
            ..Default::default()
        };
        let account = Account {
            title: "Re\u{301}ception".into(),
            place: Some(Place::default()),
            participations: vec![participation("a", "Ali", &[Role::Speaker, Role::Host]), participation("b", "", &[])],
            links: vec![Link { meeting: "#visit".into(), ..Default::default() }],
            ..Default::default()
        };
        let evidence = vec![Evidence { field: "title".into(), quote: "re\u{301}ception".into(), ..Default::default() }];
        Report { account: Some(account), evidence, ..Default::default() }
    }

    /// The same report as release 0.1.0 stored it.
    fn stored() -> Report {
        let mut stored = sent();
        let account = stored.account.as_mut().unwrap();
        account.participations[0].participant = "participants/1".into();
        account.participations[1].participant = "participants/2".into();
        account.links[0].meeting = "meetings/1".into();
        let quote = "réception".into();
        stored.evidence[0] =
            Evidence { field: "title".into(), quote, start: 3, end: 12, stale: true, ..Default::default() };
        let content_hash = content_hash_v1(sent());
        Report { name: "reports/1".into(), article: "articles/1".into(), content_hash, revision: 2, ..stored }
    }

    #[test]
    fn content_hash_equals_the_former_hash_for_canonical_content() {
        let plain = content(&sent(), None);
        assert_eq!(content_hash(&plain), content_hash_v1(plain.clone()));
        assert_ne!(content_hash_v1(sent()), content_hash_v1(plain));
    }

    #[test]
    fn has_content_finds_the_report_as_it_was_sent() {
        let b_is = |expected: &'static str| move |key: &str, name: &str| key == "b" && name == expected;
        assert!(has_content(&stored(), &content(&sent(), None), b_is("participants/2")));
        assert!(!has_content(&stored(), &content(&sent(), None), b_is("participants/3")), "nothing says who b is");
        let mut with_offsets = sent();
        (with_offsets.evidence[0].start, with_offsets.evidence[0].end) = (3, 12);
        assert!(has_content(&stored(), &content(&with_offsets, None), b_is("participants/2")));
    }

    #[test]
    fn has_content_refuses_other_content() {
        let changes: [fn(&mut Report); 6] = [
            |report| report.account.as_mut().unwrap().title.push('s'),
            |report| report.account.as_mut().unwrap().participations[0].roles.push(Role::Chair.into()),
            |report| report.account.as_mut().unwrap().participations.swap(0, 1),
            |report| report.account.as_mut().unwrap().participations[1].participant = "#a".into(),
            |report| (report.evidence[0].start, report.evidence[0].end) = (4, 13),
            |report| report.evidence.clear(),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut other = sent();
            change(&mut other);
            assert!(!has_content(&stored(), &content(&other, None), |_, _| true), "{at}");
        }
    }

    #[test]
    fn content_hash_ignores_offsets_that_follow_from_the_quote() {
        let text = IndexedText::new("Ali met Veli. Ali left.");
        let cites = |quote: &str, start: i32, end: i32| {
            let evidence =
                vec![Evidence { field: "title".into(), quote: quote.into(), start, end, ..Default::default() }];
            content_hash(&content(&Report { evidence, ..Default::default() }, Some(&text)))
        };
        assert_eq!(cites("Veli", 8, 12), cites("Veli", 0, 0));
        assert_ne!(cites("Ali", 0, 3), cites("Ali", 14, 17));
    }
}
