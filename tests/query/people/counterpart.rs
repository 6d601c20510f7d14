//! ListCounterparts: counts, order, filters and pages.

use readout::pb::{
    Account, ErrorReason, ListCounterpartsRequest, account::Kind, list_counterparts_request::GroupBy,
    list_counterparts_response::Counterpart,
};
use tonic::Code;

use super::{World, date, on};
use crate::support::{
    Refused,
    make::{named, talks},
    refused,
};

fn by_participant(world: &World, letter: char) -> ListCounterpartsRequest {
    ListCounterpartsRequest { participant: world.name(letter).into(), ..Default::default() }
}

fn by_region(world: &World, letter: char) -> ListCounterpartsRequest {
    ListCounterpartsRequest { group_by: GroupBy::Region.into(), ..by_participant(world, letter) }
}

/// Each counterpart with its meeting count: `B3 C1`, or `AZ3 BE1`.
async fn counts(world: &World, request: ListCounterpartsRequest) -> String {
    let found = world.counterparts(request).await.unwrap().counterparts;
    let entry = |counterpart: &Counterpart| {
        let label = match counterpart.participant.is_empty() {
            true => counterpart.region_code.clone(),
            false => world.letters(std::slice::from_ref(&counterpart.participant)),
        };
        format!("{label}{}", counterpart.meeting_count)
    };
    found.iter().map(entry).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn list_counterparts_orders_by_meeting_count_and_omits_those_not_present() {
    let world = World::start().await;
    for letters in ["ADC", "ADC", "AB~", "AD", "AE?", "AF-", "AG^", "BC", "HD", "A"] {
        world.meet(letters).await;
    }
    assert_eq!(counts(&world, by_participant(&world, 'A')).await, "D3 C2 B1");
    assert_eq!(counts(&world, by_participant(&world, 'B')).await, "A1 C1");
    // A participant who was not present has no counterparts.
    assert_eq!(counts(&world, by_participant(&world, 'E')).await, "");
    assert_eq!(counts(&world, by_participant(&world, 'G')).await, "");
}

#[tokio::test]
async fn list_counterparts_returns_the_name_and_the_first_and_last_meeting() {
    let world = World::start().await;
    world.meet_on((2010, 5, 17), "AB").await;
    world.meet_on((2004, 0, 0), "AB").await;
    world.meet("AB").await;
    world.meet_on((2012, 3, 0), "BA").await;
    let last = world.meet_on((2012, 3, 1), "AB").await;
    let undated = world.meet("AC").await;
    let all = world.counterparts(by_participant(&world, 'A')).await.unwrap();
    assert!(!all.as_of.is_empty() && all.next_page_token.is_empty());
    let ben = Counterpart {
        participant: world.name('B').into(),
        region_code: "BE".into(),
        display_name: "Ben".into(),
        meeting_count: 5,
        first_date: date(2004, 0, 0),
        last_date: date(2012, 3, 1),
        last_meeting: last,
    };
    let cem = Counterpart {
        participant: world.name('C').into(),
        region_code: "CZ".into(),
        display_name: "Cem".into(),
        meeting_count: 1,
        last_meeting: undated,
        ..Default::default()
    };
    assert_eq!(all.counterparts, [ben, cem]);
}

#[tokio::test]
async fn a_counterpart_region_counts_once_per_meeting_and_includes_unresolved_people() {
    let world = World::start().await;
    let with = |letters: &str, region: &str| {
        let mut account = world.account(letters, letters);
        account.participations.last_mut().unwrap().region_code = region.into();
        account
    };
    // Two people of one region, one of the own region, one with the region of the participant, and
    // one without a participant.
    world.meeting(with("ABC", "BE")).await;
    world.meeting(with("AD", "AZ")).await;
    world.meeting(with("AD", "")).await;
    let mut unresolved = world.account("unresolved", "A");
    unresolved.participations.push(named("x", "the Russian delegation"));
    unresolved.participations[1].region_code = "RU".into();
    world.meeting(unresolved).await;
    world.meet("AE?").await;
    let last = world.meet_on((2020, 9, 4), "AB").await;
    assert_eq!(counts(&world, by_region(&world, 'A')).await, "BE2 AZ1 DK1 RU1");
    assert_eq!(counts(&world, by_participant(&world, 'A')).await, "B2 D2 C1");
    let all = world.counterparts(by_region(&world, 'A')).await.unwrap().counterparts;
    let belgium = Counterpart {
        region_code: "BE".into(),
        meeting_count: 2,
        first_date: date(2020, 9, 4),
        last_date: date(2020, 9, 4),
        last_meeting: last,
        ..Default::default()
    };
    assert_eq!(all[0], belgium);
}

#[tokio::test]
async fn list_counterparts_counts_only_meetings_that_match_the_filter() {
    let world = World::start().await;
    for (year, letters) in [(2003, "AB"), (2004, "AB"), (2004, "AC"), (2005, "ACD")] {
        world.meet_on((year, 6, 1), letters).await;
    }
    let visit = Account { kind: Kind::Visit.into(), date: on((2004, 1, 1)), ..world.account("visit", "AE") };
    world.meeting(visit).await;
    let filtered = |filter: &str| ListCounterpartsRequest { filter: filter.into(), ..by_participant(&world, 'A') };
    assert_eq!(counts(&world, filtered("")).await, "B2 C2 D1 E1");
    assert_eq!(counts(&world, filtered("date >= 2004 AND date <= 2004")).await, "B1 C1 E1");
    assert_eq!(counts(&world, filtered("date = 2004 AND kind = TALKS")).await, "B1 C1");
    assert_eq!(counts(&world, filtered("NOT region = BE")).await, "C2 D1 E1");
    assert_eq!(counts(&world, filtered(&format!("participant = \"{}\"", world.name('D')))).await, "C1 D1");
    let regions = ListCounterpartsRequest { group_by: GroupBy::Region.into(), ..filtered("date >= 2005") };
    assert_eq!(counts(&world, regions).await, "CZ1 DK1");
}

#[tokio::test]
async fn counterpart_pages_of_any_size_concatenate_to_the_whole_list() {
    let world = World::start().await;
    for letters in ["ABCDEFGH", "ABC", "ABC", "AHG", "AE"] {
        world.meet(letters).await;
    }
    for (first, whole) in
        [(by_participant(&world, 'A'), "B3 C3 E2 G2 H2 D1 F1"), (by_region(&world, 'A'), "BE3 CZ3 EE2 GE2 HU2 DK1 FI1")]
    {
        for page_size in [1, 2, 3, 7, 1_000] {
            let mut request = ListCounterpartsRequest { page_size, ..first.clone() };
            let mut pages = Vec::new();
            loop {
                pages.push(counts(&world, request.clone()).await);
                request.page_token = world.counterparts(request.clone()).await.unwrap().next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(pages.join(" "), whole);
            assert_eq!(pages.len(), 7_usize.div_ceil(page_size as usize));
        }
    }
}

#[tokio::test]
async fn a_counterpart_page_token_is_refused_with_another_request() {
    let world = World::start().await;
    world.meet("ABCD").await;
    let first = ListCounterpartsRequest { page_size: 1, ..by_participant(&world, 'A') };
    let page_token = world.counterparts(first.clone()).await.unwrap().next_page_token;
    let next = ListCounterpartsRequest { page_token, ..first };
    assert_eq!(counts(&world, next.clone()).await, "C1");
    for other in [
        ListCounterpartsRequest { participant: world.name('B').into(), ..next.clone() },
        ListCounterpartsRequest { filter: "kind = TALKS".into(), ..next.clone() },
        ListCounterpartsRequest { group_by: GroupBy::Region.into(), ..next.clone() },
    ] {
        let refused = Refused::from(world.counterparts(other).await.unwrap_err());
        assert_eq!(refused, Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]));
    }
}

#[tokio::test]
async fn list_counterparts_does_not_count_deleted_merged_or_retracted_meetings() {
    let world = World::start().await;
    let kept = world.meet("AB").await;
    let deleted = world.meet("AB").await;
    let merged = world.meet("ABC").await;
    let retracted = world.meet("AB").await;
    assert_eq!(counts(&world, by_participant(&world, 'A')).await, "B4 C1");
    world.service.delete_meeting(&deleted).await.unwrap();
    world.service.merge(&kept, &[&merged]).await.unwrap();
    for report in world.service.report_names_of(&retracted).await {
        world.service.retract_report(&report).await.unwrap();
    }
    assert_eq!(counts(&world, by_participant(&world, 'A')).await, "B1 C1");
    world.service.split(&kept, &[], &merged).await.unwrap();
    world.service.undelete_meeting(&deleted).await.unwrap();
    assert_eq!(counts(&world, by_participant(&world, 'A')).await, "B3 C1");
}

#[tokio::test]
async fn a_counterpart_that_a_ruling_names_twice_counts_once() {
    let world = World::start().await;
    let meeting = world.meet("AB").await;
    let mut ruled = talks("ruled");
    ruled.participations = world.account("ruled", "ABAB").participations;
    (0..).zip(&mut ruled.participations).for_each(|(at, participation)| participation.id = format!("p{at}"));
    world.service.rule(&meeting, ruled, &["account.participations"]).await.unwrap();
    assert_eq!(counts(&world, by_participant(&world, 'A')).await, "B1");
    assert_eq!(counts(&world, by_region(&world, 'B')).await, "AZ1");
}

#[tokio::test]
async fn list_counterparts_refuses_a_deleted_or_unknown_participant() {
    let world = World::start().await;
    world.service.delete_participant(world.name('H')).await.unwrap();
    let unknown = "participants/0198f2d1-7c0e-7000-8000-0123456789ab";
    for name in [world.name('H'), unknown] {
        let request = ListCounterpartsRequest { participant: name.into(), ..Default::default() };
        let status = world.counterparts(request).await.unwrap_err();
        refused(status, Code::NotFound, ErrorReason::ResourceNotFound, name);
    }
    let request = ListCounterpartsRequest { filter: "knd = TALKS".into(), ..by_participant(&world, 'A') };
    let refused = Refused::from(world.counterparts(request).await.unwrap_err());
    assert_eq!(refused, Refused::fields(ErrorReason::UnknownFilterField, ["filter"]));
}
