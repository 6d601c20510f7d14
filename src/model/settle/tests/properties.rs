//! Invariants of the rule, on random reports and rulings.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::Index};
use prost::Message;

use super::{
    HEAD,
    generators::{Case, any_case, any_rulings, any_sources, case_of},
    ruling, settled, source, source_reports,
};
use crate::{
    model::{
        meeting::{full, settle_on},
        rules::Check,
        settle::{settled_ids::Ids, *},
    },
    pb::account::Kind,
};

/// The settled account with its settled ids replaced by local ones.
fn with_local_ids(mut account: pb::Account) -> pb::Account {
    let people: Vec<String> = account.participations.iter().map(|person| person.id.clone()).collect();
    let groups: Vec<String> = account.delegations.iter().map(|group| group.id.clone()).collect();
    let rename = |id: &mut String, ids: &[String], letter: char| {
        if let Some(at) = ids.iter().position(|settled| settled == id) {
            *id = format!("{letter}{at}");
        }
    };
    rename(&mut account.initiator, &people, 'p');
    if let Some(announcement) = &mut account.announcement {
        rename(&mut announcement.participation, &people, 'p');
    }
    for person in &mut account.participations {
        rename(&mut person.id, &people, 'p');
        rename(&mut person.on_behalf_of, &people, 'p');
        rename(&mut person.delegation, &groups, 'd');
    }
    for group in &mut account.delegations {
        rename(&mut group.id, &groups, 'd');
        rename(&mut group.head, &people, 'p');
    }
    account
}

/// The value of a disputed field in the account.
fn value_of(account: &pb::Account, field: &str) -> Option<prost_types::Value> {
    use self::disputes::{kind, presence, status, visit_type};
    let text = |text: &str| Some(DisputedValue::Text(text).value()).filter(|_| !text.is_empty());
    let number = |number: i32, to_disputed: fn(i32) -> DisputedValue<'static>| {
        (number != 0).then(|| to_disputed(number).value())
    };
    let place = account.place.clone().unwrap_or_default();
    match field {
        "kind" => number(account.kind, kind),
        "status" => number(account.status, status),
        "date" => account.date.as_ref().map(|span| DisputedValue::Date(span).value()),
        "place.locality" => text(&place.locality),
        "place.region_code" => text(&place.region_code),
        "initiator" => text(&account.initiator),
        "visit_type" => number(account.visit_type, visit_type),
        _ => {
            let (id, part) = field.strip_prefix("participations[")?.rsplit_once("].")?;
            let person = account.participations.iter().find(|person| person.id == id).expect("the participation");
            match part {
                "presence" => number(person.presence, presence),
                "office" => person.office.as_ref().map(|office| DisputedValue::Office(office).value()),
                "rank" => text(&person.rank),
                "region_code" => text(&person.region_code),
                "delegation" => text(&person.delegation),
                _ => panic!("{part} cannot be disputed"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn order_of_reports_and_rulings_does_not_matter(
        (case, sources, rulings) in any_case().prop_flat_map(|case| {
            (Just(case.clone()), Just(case.sources).prop_shuffle(), Just(case.rulings).prop_shuffle())
        })
    ) {
        let shuffled = Case { sources, rulings };
        prop_assert_eq!(case.settle(), shuffled.settle());
        prop_assert_eq!(unite(&source_reports(&case.sources)), unite(&source_reports(&shuffled.sources)));
        let named = |case: &Case| disputes(&source_reports(&case.sources), &case.rulings(), usize::MAX);
        prop_assert_eq!(named(&case), named(&shuffled));
    }

    #[test]
    fn repeated_report_or_ruling_changes_nothing(case in any_case(), at in any::<Index>()) {
        let mut twice = case.clone();
        let again = |count: usize| (count > 0).then(|| at.index(count));
        twice.sources.extend(again(case.sources.len()).map(|at| case.sources[at].clone()));
        twice.rulings.extend(again(case.rulings.len()).map(|at| case.rulings[at].clone()));
        prop_assert_eq!(twice.settle(), case.settle());
        prop_assert_eq!(unite(&source_reports(&twice.sources)), unite(&source_reports(&case.sources)));
    }

    #[test]
    fn full_view_fits_and_counts_what_is_left_out(case in any_case(), share in 0_usize..=100) {
        let reports = source_reports(&case.sources);
        let mut meeting = pb::Meeting::default();
        settle_on(&mut meeting, &reports, &case.rulings());
        let whole = full(meeting.clone(), &reports, &case.rulings(), usize::MAX);
        prop_assert_eq!(&whole.omission, &None);
        // The fixed part has room for the omission, too.
        let (least, most) = (meeting.encoded_len() + 64, whole.encoded_len() + 64);
        let max_bytes = least + most.saturating_sub(least) * share / 100;
        let cut = full(meeting, &reports, &case.rulings(), max_bytes);
        prop_assert!(cut.encoded_len() <= max_bytes);
        let omission = cut.omission.unwrap_or_default();
        let (cut, whole) = (cut.account.unwrap_or_default(), whole.account.unwrap_or_default());
        prop_assert_eq!(cut.statements.len() + omission.statement_count as usize, whole.statements.len());
        prop_assert_eq!(cut.outcomes.len() + omission.outcome_count as usize, whole.outcomes.len());
        prop_assert_eq!(cut.links.len() + omission.link_count as usize, whole.links.len());
        prop_assert_eq!(&cut.statements[..], &whole.statements[..cut.statements.len()]);
        prop_assert_eq!(&cut.links[..], &whole.links[..cut.links.len()]);
        if share == 100 {
            prop_assert_eq!(pb::Omission { dispute_report_count: 0, ..omission }, pb::Omission::default());
        }
    }

    #[test]
    fn ruling_that_equals_the_settled_account_changes_nothing(case in any_case()) {
        let account = case.settle().account;
        let mut ruled = case.clone();
        ruled.rulings.push(ruling(9, &rulable_paths().collect::<Vec<_>>(), account.clone()));
        prop_assert_eq!(ruled.settle().account, account);
    }

    #[test]
    fn retracted_report_or_ruling_leaves_no_trace(case in case_of(1), at in any::<Index>()) {
        let remaining = case.without(at);
        let mut meeting = case.meeting();
        remaining.settle_on(&mut meeting);
        prop_assert_eq!(meeting, remaining.meeting());
    }

    #[test]
    fn agreeing_copy_changes_no_source_count_and_no_choice(case in case_of(1), at in any::<Index>()) {
        let (mut copied, mut meeting) = (case.clone(), case.meeting());
        let mut copy = case.sources[at.index(case.sources.len())].clone();
        copy.publish_date = None;
        copy.uri = "https://example.org/copy".into();
        copy.report.name = "reports/copy".into();
        copy.report.article = "articles/copy".into();
        copied.sources.push(copy);
        meeting.report_count += 1;
        meeting.article_count += 1;
        prop_assert_eq!(copied.meeting(), meeting);
    }

    #[test]
    fn settled_account_is_valid_by_the_contract(case in any_case()) {
        for source in &case.sources {
            prop_assert!(source.report.account.as_ref().is_none_or(|account| account.violations().is_empty()));
        }
        let settled = case.settle().account;
        prop_assert!(settled.violations().is_empty(), "{:?}", settled.violations());
    }

    #[test]
    fn dispute_has_several_distinct_values_and_the_account_has_the_chosen_one(case in any_case()) {
        let Settled { account, disputes, .. } = case.settle();
        let sources = case.meeting().independent_source_count;
        for dispute in disputes {
            let values: Vec<_> = dispute.values.iter().map(|value| value.value.clone().expect("a value")).collect();
            prop_assert!(values.len() > 1);
            prop_assert!((1..values.len()).all(|at| !values[..at].contains(&values[at])));
            prop_assert!(dispute.values.iter().all(|value| (0..=sources).contains(&value.independent_source_count)));
            let is_ruled = dispute.rule() == pb::dispute::Rule::Ruling;
            prop_assert!(is_ruled || dispute.chosen == 0, "the strongest comes first");
            prop_assert!(!is_ruled || !case.rulings.is_empty());
            let chosen = &values[usize::try_from(dispute.chosen).expect("an index")];
            let settled = value_of(&account, &dispute.field).unwrap_or_else(disputed_value::null);
            // A dispute has the wording of a report; a ruling may word the same value differently.
            prop_assert!(is_ruled || *chosen == settled, "{}: {chosen:?} {settled:?}", dispute.field);
            prop_assert_eq!(disputed_value::null() == settled, disputed_value::null() == *chosen);
        }
    }

    #[test]
    fn newest_ruling_on_a_field_is_settled_on(case in case_of(1), last in any_rulings()) {
        let case = Case { rulings: [case.rulings, last].concat(), ..case };
        let rulings = Rulings::of(&case.rulings());
        let Settled { account, .. } = case.settle();
        let ruled = |path: &str| rulings.on(path).and_then(|ruling| ruling.account.as_ref());
        prop_assert!(ruled("account.kind").is_none_or(|ruled| ruled.kind == account.kind));
        prop_assert!(ruled("account.topics").is_none_or(|ruled| ruled.topics == account.topics));
        let date = |account: &pb::Account| account.date.clone().filter(|date| *date != pb::DateSpan::default());
        prop_assert!(ruled("account.date").is_none_or(|ruled| date(ruled) == date(&account)));
        let locality = |account: &pb::Account| account.place.clone().unwrap_or_default().locality;
        prop_assert!(ruled("account.place.locality").is_none_or(|ruled| locality(ruled) == locality(&account)));
    }

    #[test]
    fn settled_account_settles_to_itself(sources in any_sources()) {
        let once = settled(&sources);
        prop_assert_eq!(settled(&[source(1, once.clone())]), once);
    }

    #[test]
    fn local_ids_do_not_matter(sources in any_sources()) {
        let once = settled(&sources);
        prop_assert_eq!(settled(&[source(1, with_local_ids(once.clone()))]), once);
    }

    #[test]
    fn every_reference_resolves_and_heads_agree_with_roles(sources in any_sources()) {
        let settled = settled(&sources);
        let people: BTreeSet<&str> = settled.participations.iter().map(|person| person.id.as_str()).collect();
        let groups: BTreeSet<&str> = settled.delegations.iter().map(|group| group.id.as_str()).collect();
        prop_assert_eq!(people.len(), settled.participations.len());
        prop_assert_eq!(groups.len(), settled.delegations.len());
        let resolves = |ids: &BTreeSet<&str>, id: &str| id.is_empty() || ids.contains(id);
        prop_assert!(resolves(&people, &settled.initiator));
        prop_assert!(settled.announcement.iter().all(|announcement| resolves(&people, &announcement.participation)));
        for person in &settled.participations {
            prop_assert!(resolves(&people, &person.on_behalf_of) && person.on_behalf_of != person.id);
            prop_assert!(resolves(&groups, &person.delegation));
        }
        for group in &settled.delegations {
            let members = settled.participations.iter().filter(|person| person.delegation == group.id);
            let heads: Vec<&str> =
                members.filter(|member| member.roles.contains(&HEAD)).map(|member| member.id.as_str()).collect();
            prop_assert_eq!(heads, Vec::from_iter(Some(group.head.as_str()).filter(|head| !head.is_empty())));
        }
        let statements = unite(&source_reports(&sources)).statements;
        let ids: BTreeSet<&str> = statements.iter().map(|statement| statement.id.as_str()).collect();
        prop_assert_eq!(ids.len(), statements.len());
        for statement in &statements {
            prop_assert!(statement.speakers.iter().all(|id| people.contains(id.as_str())));
            prop_assert!(resolves(&ids, &statement.continues));
        }
    }

    #[test]
    fn delegations_of_one_report_never_unite(sources in any_sources()) {
        for report in &Ids::of(&source_reports(&sources)).reports {
            let distinct: BTreeSet<usize> = report.delegations.iter().copied().collect();
            prop_assert_eq!(distinct.len(), report.account.delegations.len());
        }
    }

    #[test]
    fn kind_is_one_that_most_origins_report(sources in any_sources()) {
        let votes = |kind: i32| {
            let has_kind = |report: &pb::Report| report.account.as_ref().is_some_and(|account| account.kind == kind);
            let voters = sources.iter().filter(|source| has_kind(&source.report));
            voters.map(|source| source.origin).collect::<BTreeSet<_>>().len()
        };
        let kind = settled(&sources).kind;
        let most = (1..3).map(votes).max().unwrap_or_default();
        prop_assert_eq!(kind != Kind::Unspecified as i32, most > 0);
        prop_assert!(kind == 0 || votes(kind) == most);
    }
}
