//! Rules on an account that span several fields.

use readout::pb::{
    Account, CreateMeetingRequest, Date, DateSpan, ErrorReason, TimeOfDay, date_span::Extent, participation::Role,
};
use tonic::Code;

use super::{base, world::World};
use crate::support::Refused;

fn with(world: &World, edit: fn(&mut Account)) -> CreateMeetingRequest {
    let mut request = base::create_meeting(world);
    edit(request.meeting.as_mut().unwrap().account.as_mut().unwrap());
    request
}

/// The account fields that the refusal names; empty if the meeting is accepted.
async fn refused_fields(world: &mut World, edit: fn(&mut Account)) -> Vec<String> {
    let request = with(world, edit);
    let Err(status) = world.service.meetings.create_meeting(request).await else { return Vec::new() };
    let refused = Refused::from(status);
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidField));
    refused.fields.iter().map(|field| field.strip_prefix("meeting.account.").unwrap().to_owned()).collect()
}

type Edits<'a> = &'a [(fn(&mut Account), &'a [&'a str])];

async fn assert_refused_fields(edits: Edits<'_>) {
    let mut world = World::new().await;
    for (index, (edit, fields)) in edits.iter().enumerate() {
        assert_eq!(refused_fields(&mut world, *edit).await, *fields, "edit {index}");
    }
}

#[tokio::test]
async fn an_account_refuses_repeated_ids_of_its_parts() {
    assert_refused_fields(&[
        (|a| a.participations[2].id = "head".into(), &["participations[2].id"]),
        (|a| a.delegations[1].id = "delegation".into(), &["delegations[1].id"]),
        (|a| a.statements[2].id = "first".into(), &["statements[2].id"]),
        (
            |a| {
                let last = a.participations[2].clone();
                a.participations.extend([last.clone(), last]);
            },
            &["participations[3].id", "participations[4].id"],
        ),
        // Ids of different things may be equal.
        (|a| a.statements[2].id = "delegation".into(), &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_dangling_reference_in_an_account_is_refused_at_its_field() {
    assert_refused_fields(&[
        (|a| a.initiator = "nobody".into(), &["initiator"]),
        (|a| a.announcement.as_mut().unwrap().participation = "nobody".into(), &["announcement.participation"]),
        (|a| a.participations[1].delegation = "none".into(), &["participations[1].delegation"]),
        (|a| a.participations[1].on_behalf_of = "nobody".into(), &["participations[1].on_behalf_of"]),
        (|a| a.delegations[1].head = "nobody".into(), &["delegations[1].head"]),
        (|a| a.statements[1].speakers[1] = "nobody".into(), &["statements[1].speakers[1]"]),
        (|a| a.statements[1].addressees[0] = "nobody".into(), &["statements[1].addressees[0]"]),
        (|a| a.statements[1].continues = "nothing".into(), &["statements[1].continues"]),
    ])
    .await;
}

#[tokio::test]
async fn an_account_reference_to_a_part_of_another_type_is_refused() {
    assert_refused_fields(&[
        (|a| a.initiator = "delegation".into(), &["initiator"]),
        (|a| a.participations[1].delegation = "head".into(), &["participations[1].delegation"]),
        (|a| a.delegations[1].head = "second".into(), &["delegations[1].head"]),
        (|a| a.statements[1].speakers[0] = "first".into(), &["statements[1].speakers[0]"]),
        (|a| a.statements[1].continues = "member".into(), &["statements[1].continues"]),
    ])
    .await;
}

#[tokio::test]
async fn a_delegation_and_its_head_must_agree() {
    assert_refused_fields(&[
        // A head without a delegation, a head of another delegation, and a head without the role.
        (|a| a.delegations[1].head = "last".into(), &["delegations[1].head"]),
        (|a| a.delegations[1].head = "head".into(), &["delegations[1].head"]),
        (
            |a| {
                a.delegations[1].head = "last".into();
                a.participations[2].delegation = "last".into();
            },
            &["delegations[1].head"],
        ),
        // Two heads of one delegation, and a head that the delegation does not have.
        (
            |a| {
                a.participations[2].delegation = "delegation".into();
                a.participations[2].roles.push(Role::HeadOfDelegation.into());
            },
            &["participations[2].roles"],
        ),
        (|a| a.delegations[0].head.clear(), &["participations[0].roles"]),
        // A head of a delegation that the account does not describe.
        (|a| a.participations[2].roles.push(Role::HeadOfDelegation.into()), &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_participation_that_has_no_name_or_acts_on_behalf_of_itself_is_refused() {
    assert_refused_fields(&[
        (|a| a.participations[2].name_as_written.clear(), &["participations[2]"]),
        (|a| a.participations[2].on_behalf_of = "last".into(), &["participations[2].on_behalf_of"]),
        // A delegation acts through a participation of its own.
        (
            |a| {
                a.participations[2].name_as_written.clear();
                a.participations[2].delegation = "delegation".into();
            },
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn statements_refuse_a_cycle_of_continuations() {
    assert_refused_fields(&[
        (|a| a.statements[2].continues = "last".into(), &["statements[2].continues"]),
        (|a| a.statements[0].continues = "second".into(), &["statements[0].continues"]),
        (
            |a| {
                a.statements[0].continues = "last".into();
                a.statements[2].continues = "second".into();
            },
            &["statements[0].continues"],
        ),
        // Each cycle is reported.
        (
            |a| {
                a.statements[0].continues = "second".into();
                a.statements[2].continues = "last".into();
            },
            &["statements[0].continues", "statements[2].continues"],
        ),
        // Two statements may continue the same one.
        (|a| a.statements[2].continues = "first".into(), &[]),
    ])
    .await;
}

fn span(account: &mut Account) -> &mut DateSpan {
    account.date.as_mut().unwrap()
}

fn day(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

fn hour(hours: i32) -> Option<TimeOfDay> {
    Some(TimeOfDay { hours, ..Default::default() })
}

#[tokio::test]
async fn a_date_span_that_ends_before_it_starts_is_refused() {
    assert_refused_fields(&[
        (|a| span(a).end = day(2020, 8, 23), &["date.end"]),
        (|a| span(a).end = day(2020, 7, 0), &["date.end"]),
        (|a| span(a).end = day(2019, 0, 0), &["date.end"]),
        (|a| span(a).start = None, &["date.start"]),
        (|a| a.announcement.as_mut().unwrap().date.as_mut().unwrap().end = day(1, 1, 1), &["announcement.date.end"]),
        (|a| a.outcomes[0].date.as_mut().unwrap().end = day(1, 1, 1), &["outcomes[0].date.end"]),
        // A partial end may contain the start, and a partial start the end.
        (|a| span(a).end = day(2020, 8, 0), &[]),
        (|a| span(a).end = day(2020, 0, 0), &[]),
        (|a| span(a).start = day(2020, 0, 0), &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_one_day_span_whose_end_time_precedes_its_start_time_is_refused() {
    assert_refused_fields(&[
        (
            |a| {
                span(a).end = None;
                span(a).end_time = hour(14);
            },
            &["date.end_time"],
        ),
        (
            |a| {
                span(a).end = span(a).start;
                span(a).end_time = hour(0);
            },
            &["date.end_time"],
        ),
        (
            |a| {
                span(a).end = None;
                span(a).end_time = span(a).start_time;
            },
            &[],
        ),
        (|a| span(a).end_time = hour(0), &[]),
    ])
    .await;
}

#[tokio::test]
async fn an_event_some_time_within_a_span_needs_several_days_and_no_time() {
    fn within(account: &mut Account) -> &mut DateSpan {
        let span = span(account);
        (span.start_time, span.end_time) = (None, None);
        span.set_extent(Extent::SometimeWithin);
        span
    }
    assert_refused_fields(&[
        (|a| drop(within(a).clone()), &[]),
        (|a| (within(a).start, within(a).end) = (day(2020, 8, 0), None), &[]),
        (|a| within(a).end = None, &["date.extent"]),
        (|a| within(a).end = within(a).start, &["date.extent"]),
        (|a| (within(a).start, within(a).end) = (None, None), &["date.extent"]),
        (|a| within(a).start_time = hour(10), &["date.start_time"]),
        (|a| within(a).end_time = hour(10), &["date.end_time"]),
        (|a| span(a).set_extent(Extent::Throughout), &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_time_of_24_hours_is_the_end_of_the_day_and_no_later() {
    assert_refused_fields(&[
        (|a| span(a).end_time = hour(24), &[]),
        (|a| (span(a).end, span(a).end_time) = (None, hour(24)), &[]),
        (|a| span(a).end_time = Some(TimeOfDay { hours: 24, minutes: 30, ..Default::default() }), &["date.end_time"]),
        (|a| span(a).end_time = Some(TimeOfDay { hours: 24, nanos: 1, ..Default::default() }), &["date.end_time"]),
        (|a| span(a).end_time = hour(25), &["date.end_time"]),
    ])
    .await;
}

#[tokio::test]
async fn codes_and_dates_at_the_edge_of_their_range_are_accepted() {
    assert_refused_fields(&[
        (|a| a.participations[2].region_code = "YU".into(), &[]),
        (|a| a.participations[2].region_code = "UN".into(), &[]),
        (|a| span(a).time_zone = "Z".into(), &[]),
        (|a| span(a).time_zone = "+14:00".into(), &[]),
        (|a| span(a).time_zone = "-12:00".into(), &[]),
        (|a| a.place.as_mut().unwrap().region_code = "XK".into(), &[]),
        (|a| a.place.as_mut().unwrap().region_code.clear(), &[]),
        (|a| a.participations[2].region_code = "TW".into(), &[]),
        (|a| a.statements[1].language_code = "zh-Hant-TW".into(), &[]),
        (|a| a.statements[1].language_code = "und".into(), &[]),
        (|a| span(a).time_zone = "America/Argentina/Buenos_Aires".into(), &[]),
        (|a| span(a).time_zone = "UTC".into(), &[]),
        (|a| (span(a).start, span(a).end) = (day(1, 0, 0), day(9999, 12, 31)), &[]),
        (|a| (span(a).start, span(a).end) = (day(2020, 2, 29), day(2020, 2, 0)), &[]),
        (|a| span(a).start_time = hour(0), &[]),
        (
            |a| {
                let corner = readout::pb::LatLng { latitude: -90.0, longitude: 180.0 };
                a.place.as_mut().unwrap().location = Some(corner);
            },
            &[],
        ),
    ])
    .await;
}
