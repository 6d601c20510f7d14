//! Filter functions, for conditions that fields cannot express: several conditions on one participation, and two sides.

use std::time::SystemTime;

use readout::pb::{
    Account, AggregateMeetingsRequest, ErrorReason, ListChangesRequest, ListCounterpartsRequest, ListMeetingsRequest,
    Office, Origin, Participant, Participation,
    list_changes_request::Start,
    participant::Kind,
    participation::{Presence, Role},
};

use crate::support::{
    Refused, Service,
    follow::{beginning, matching},
    make, metadata_of,
};

fn participation(name: &str, region: &str, roles: &[Role], seniority: i32, presence: Presence) -> Participation {
    Participation {
        region_code: region.into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        office: Some(Office { seniority, ..Default::default() }),
        presence: presence.into(),
        ..make::named(name, name)
    }
}

/// Meetings `a` to `d`:
///
/// - `a`: a Russian deputy minister leads a delegation.
/// - `b`: a Russian minister is present, and an Azerbaijani director leads.
/// - `c`: a Russian of unknown office leads, and is represented.
/// - `d`: a Russian minister who leads is only mentioned.
async fn service() -> Service {
    let service = Service::start().await;
    let (head, present) = (Role::HeadOfDelegation, Presence::Present);
    let meetings = [
        (
            "a",
            vec![
                participation("a", "RU", &[head, Role::Visitor], 3, present),
                participation("b", "AZ", &[Role::Host], 2, present),
            ],
        ),
        (
            "b",
            vec![
                participation("c", "RU", &[Role::Visitor], 2, present),
                participation("d", "AZ", &[head], 4, Presence::Remote),
            ],
        ),
        (
            "c",
            vec![
                participation("e", "RU", &[head], 0, Presence::Represented),
                participation("f", "AZ", &[], 1, Presence::Referenced),
            ],
        ),
        ("d", vec![participation("g", "RU", &[head], 2, Presence::Referenced)]),
    ];
    for (title, participations) in meetings {
        let article = service.create_article(make::article(&format!("urn:{title}"))).await;
        let account = Account { participations, ..make::talks(title) };
        service.create_meeting(&article, account).await.unwrap();
    }
    service
}

/// The titles of the meetings that match, in order.
async fn found(service: &Service, filter: &str) -> String {
    let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
    let list =
        service.meetings.clone().list_meetings(request).await.unwrap_or_else(|status| panic!("{filter}: {status}"));
    let mut titles: Vec<_> =
        list.into_inner().meetings.into_iter().map(|meeting| meeting.account.unwrap().title).collect();
    titles.sort();
    titles.concat()
}

#[tokio::test]
async fn conditions_in_a_filter_function_must_hold_for_the_same_participation() {
    let service = service().await;
    for (filter, titles) in [
        (r#"participant((region = "RU" AND role = HEAD_OF_DELEGATION AND seniority <= 3))"#, "ad"),
        (r#"participant((region = "RU" role:HEAD_OF_DELEGATION seniority <= 3 presence = PRESENT))"#, "a"),
        // Separate calls may be satisfied by different participations.
        (
            r#"participant((region = "RU")) AND participant((role = HEAD_OF_DELEGATION)) AND participant((seniority <= 3))"#,
            "abcd",
        ),
        ("participant((seniority >= 1 AND role = HEAD_OF_DELEGATION))", "abd"),
        ("participant((role = HEAD_OF_DELEGATION AND NOT seniority <= 3))", "bc"),
        ("participant((seniority = 0))", ""),
        ("participant((NOT seniority >= 1))", "c"),
        ("participant((seniority = 2))", "abd"),
        ("participant((seniority = 4))", "b"),
        ("participant((presence = REMOTE OR presence = REPRESENTED))", "bc"),
        ("participant((presence = REFERENCED))", "cd"),
        (r#"participant((region != "RU"))"#, "abc"),
        (r#"NOT participant((region != "RU"))"#, "d"),
        (r#"NOT participant((region = "RU" AND presence = PRESENT))"#, "cd"),
        ("participant((role = HOST AND role = VISITOR))", ""),
        ("participant((role = HEAD_OF_DELEGATION AND role = VISITOR))", "a"),
        ("participant((role != HEAD_OF_DELEGATION))", "abc"),
    ] {
        assert_eq!(found(&service, filter).await, titles, "{filter}");
    }
}

#[tokio::test]
async fn the_between_function_finds_meetings_where_both_regions_take_part() {
    let service = service().await;
    for (filter, titles) in [
        (r#"between("AZ", "RU")"#, "ab"),
        (r#"between("RU", "AZ")"#, "ab"),
        (r#"NOT between("AZ", "RU")"#, "cd"),
        (r#"between("AZ", "FR")"#, ""),
        (r#"between("AZ", "RU") AND NOT participant((role = HOST))"#, "b"),
    ] {
        assert_eq!(found(&service, filter).await, titles, "{filter}");
    }
}

#[tokio::test]
async fn a_change_filter_accepts_the_functions_of_meetings() {
    let service = service().await;
    for (filter, count) in [
        ("meeting.participant((region = \"RU\" AND role = HEAD_OF_DELEGATION AND seniority <= 3))", 2),
        ("meeting.between(\"AZ\", \"RU\")", 2),
        ("collection = meetings AND NOT meeting.between(\"AZ\", \"RU\")", 2),
        ("collection = articles AND NOT meeting.between(\"AZ\", \"RU\")", 4),
    ] {
        let start = Some(Start::Origin(Origin::Beginning.into()));
        let request = ListChangesRequest { start, filter: filter.into(), ..Default::default() };
        let page = service.changes.clone().list_changes(request).await.unwrap().into_inner();
        assert_eq!(page.changes.len(), count, "{filter}");
    }
}

#[tokio::test]
async fn an_invalid_function_call_is_refused_with_its_position() {
    let service = service().await;
    let refused = async |filter: &str| {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        service.meetings.clone().list_meetings(request).await.expect_err(filter)
    };
    for (filter, position) in [
        ("kind = TALKS AND between(\"AZ\")", "17"),
        ("between(\"AZ\", \"az\")", "14"),
        ("between(\"AZ\", \"AZ\")", "14"),
        ("participant(\"RU\")", "0"),
        ("participant((role = BOSS))", "20"),
        ("participant((seniority = 'x' OR true))", "25"),
        ("between(\"AZ\", \"RU') or true --\")", "14"),
        ("participant((region = \"RU') or (true\"))", "22"),
    ] {
        let status = refused(filter).await;
        assert_eq!(metadata_of(&status, "position"), position, "{filter}: {}", status.message());
        assert_eq!(Refused::from(status), Refused::fields(ErrorReason::InvalidFilter, ["filter"]), "{filter}");
    }
    let status = refused("kind = TALKS AND betwen(\"AZ\", \"RU\")").await;
    assert_eq!(metadata_of(&status, "position"), "17");
    assert_eq!(metadata_of(&status, "function"), "betwen");
    assert_eq!(metadata_of(&status, "nearest"), "between");
    assert_eq!(Refused::from(status), Refused::fields(ErrorReason::UnknownFilterField, ["filter"]));
}

/// Filters far beyond the limits of length, conditions and depth. They must be refused quickly, whatever they contain.
#[tokio::test]
async fn a_filter_that_is_too_large_or_too_deep_is_refused() {
    let service = service().await;
    let mut filters = vec![
        vec!["kind = TALKS"; 10_000].join(" OR "),
        vec!["kind = TALKS"; 500].join(" "),
        format!("topic = \"{}\"", "x".repeat(65_536)),
        "(".repeat(8_192),
    ];
    for open in ["(", "NOT (", "-(", "participant((", "between(", "a(b(", "participant((NOT (", "topic = ("] {
        for depth in [33, 600, 10_000] {
            filters.push(open.repeat(depth));
            filters.push(format!(
                "{}kind = TALKS{}",
                open.repeat(depth),
                ")".repeat(depth * open.matches('(').count())
            ));
        }
    }
    for filter in filters {
        let request = ListMeetingsRequest { filter: filter.clone(), ..Default::default() };
        let refused = Refused::from(service.meetings.clone().list_meetings(request).await.unwrap_err());
        let reasons = [ErrorReason::InvalidFilter, ErrorReason::InvalidField];
        let excerpt = &filter[..filter.len().min(30)];
        assert!(reasons.contains(&refused.reason) && refused.fields == ["filter"], "{excerpt}: {refused:?}");
    }
    assert_eq!(found(&service, "kind = TALKS").await, "abcd");
}

#[tokio::test]
async fn a_filter_with_the_maximum_of_conditions_is_answered_in_time() {
    let service = service().await;
    for (condition, count, titles) in [
        ("between(AZ, RU)", 200, "ab"),
        ("region = RU", 200, "abc"),
        ("NOT region = AZ", 200, "cd"),
        ("participant((region = RU))", 100, "abcd"),
    ] {
        assert_eq!(found(&service, &vec![condition; count].join(" ")).await, titles, "{condition}");
    }
    assert_eq!(found(&service, &format!("participant(({}))", ["region = RU"; 199].join(" "))).await, "abcd");
}

/// Meetings `a` to `d`: of a minister and a ministry, of the ministry, of an unresolved name, and of the minister.
async fn meetings_of_kinds(service: &Service) -> [Participant; 2] {
    let ministry = Participant { kind: Kind::Organization.into(), ..make::person("Ministry of Defence", "AZ") };
    let ministry = service.create_participant(ministry).await;
    let minister = service.create_participant(make::person("Zakir Hasanov", "AZ")).await;
    let of_minister = make::present("p", &minister.name);
    let of_ministry = Participation { region_code: "AZ".into(), ..make::present("o", &ministry.name) };
    for (title, participations) in [
        ("a", vec![of_minister.clone(), of_ministry.clone()]),
        ("b", vec![of_ministry]),
        ("c", vec![make::named("n", "Hasanov")]),
        ("d", vec![of_minister]),
    ] {
        let article = service.create_article(make::article(&format!("urn:{title}"))).await;
        let account = Account { participations, ..make::talks(title) };
        service.create_meeting(&article, account).await.unwrap();
    }
    [minister, ministry]
}

#[tokio::test]
async fn kind_of_a_participation_is_that_of_its_participant() {
    let service = Service::start().await;
    let [minister, ministry] = meetings_of_kinds(&service).await;
    let questions = [
        ("participant((kind = ORGANIZATION))", "ab"),
        ("participant((kind = PERSON))", "ad"),
        ("participant((kind != ORGANIZATION))", "acd"),
        ("NOT participant((kind = ORGANIZATION))", "cd"),
        ("participant((kind = ORGANIZATION AND region = AZ))", "ab"),
        ("participant((kind = PERSON AND region = RU))", ""),
        ("participant((kind = (PERSON OR ORGANIZATION)))", "abd"),
        ("participant((kind:*))", "abd"),
        ("participant((NOT kind:*))", "c"),
        ("participant((kind = STATE))", ""),
        ("participant((NOT (kind = STATE OR kind = PERSON)))", "abc"),
    ];
    for (filter, titles) in questions {
        assert_eq!(found(&service, filter).await, titles, "{filter}");
    }
    // As of a time it is the kind of then, also in meetings that have changed since.
    let then = Some(SystemTime::now().into());
    let state = Participant { name: ministry.name.clone(), kind: Kind::State.into(), ..Default::default() };
    service.update_participant(state, &["kind"]).await.unwrap();
    for title in ["title = a", "title = d"] {
        let changed = ListMeetingsRequest { filter: title.into(), ..Default::default() };
        let changed = service.meetings.clone().list_meetings(changed).await.unwrap().into_inner().meetings.remove(0);
        service.delete_meeting(&changed.name).await.unwrap();
    }
    assert_eq!(found(&service, "participant((kind = STATE))").await, "b");
    assert_eq!(found(&service, "participant((kind = ORGANIZATION))").await, "");
    for (filter, titles) in questions {
        let request = ListMeetingsRequest { filter: filter.into(), read_time: then, ..Default::default() };
        let list = service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings;
        let mut listed: Vec<String> = list.into_iter().map(|meeting| meeting.account.unwrap().title).collect();
        listed.sort();
        assert_eq!(listed.concat(), titles, "{filter}");
        let request = AggregateMeetingsRequest { filter: filter.into(), read_time: then, ..Default::default() };
        let counted = service.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner().groups;
        assert_eq!(counted[0].meeting_count as usize, titles.len(), "{filter}");
    }
    let met = ListCounterpartsRequest {
        participant: minister.name,
        filter: "participant((kind = ORGANIZATION))".into(),
        read_time: then,
        ..Default::default()
    };
    let met = service.participants.clone().list_counterparts(met).await.unwrap().into_inner().counterparts;
    assert_eq!(met.into_iter().map(|met| met.participant).collect::<Vec<_>>(), [ministry.name]);
}

#[tokio::test]
async fn filter_of_changes_refuses_the_kind_of_a_participation() {
    let service = Service::start().await;
    let filter = "meeting.participant((region = AZ AND kind = ORGANIZATION))";
    let start = Some(Start::Origin(Origin::Beginning.into()));
    let request = ListChangesRequest { filter: filter.into(), start, ..Default::default() };
    let refused = service.changes.clone().list_changes(request).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "position"), filter.find("kind").unwrap().to_string());
    assert!(refused.message().contains("does not tell the kinds of its participants"), "{}", refused.message());
    assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidFilter, ["filter"]));
    let refused = service.changes.clone().watch_changes(matching(beginning(), filter)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidFilter, ["filter"]));
}
