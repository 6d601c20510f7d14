//! Attacks with unary calls, and those that are the same for every method.

use std::{fmt::Write, sync::Arc, time::Duration};

use readout::access::api_token::ApiToken;

use super::{
    attack::{Attack, Target},
    connection::{Call, trickling, unfinished as unfinished_body, whole},
    samples::{Class, all_paths, encode, sample},
};

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
const GET_MEETING: &str = "/readout.v1.MeetingService/GetMeeting";
const ADD_REPORT: &str = "/readout.v1.MeetingService/AddReport";
const AGGREGATE: &str = "/readout.v1.MeetingService/AggregateMeetings";
const LIST_ARTICLES: &str = "/readout.v1.ArticleService/ListArticles";
const LIST_MEETINGS: &str = "/readout.v1.MeetingService/ListMeetings";
const BATCH_GET_MEETINGS: &str = "/readout.v1.MeetingService/BatchGetMeetings";
const CREATE_ARTICLE: &str = "/readout.v1.ArticleService/CreateArticle";

/// A request for as much as a page may hold.
const LARGE_PAGE: &str = r#"{"page_size": 1000, "view": "FULL", "order_by": "update_time desc"}"#;
/// 7.9 MiB: a little less than the longest message.
const SLOW_BODY: usize = 79 * 1024 * 1024 / 10;
/// The reports that the contract allows a meeting, less those that it may have.
const REPORTS_OF_A_MEETING: u64 = 900;
/// The participations of each report.
const PARTICIPATIONS: u64 = 20;

/// A call of the hostile caller with this message.
fn call(target: &Target, path: &str, message: &[u8]) -> Call {
    Call::new(path, whole(message)).with_token(&target.token)
}

/// A call with the sample of its method.
fn sampled(target: &Target, path: &str, number: u64) -> Call {
    call(target, path, &sample(path, &target.records, number))
}

/// One of the paths, in turn.
fn in_turn(paths: &[String], number: u64) -> &str {
    &paths[number as usize % paths.len()]
}

/// Calls to the methods of a class that send six bytes of their messages. With `patience` they are reset after it, and
/// made again.
pub fn unfinished(attack: &Attack, class: Class, patience: Option<Duration>) {
    let (target, paths) = (Arc::clone(&attack.target), class.paths());
    attack.keep(2_250, 9, move |number| {
        let call = Call::new(in_turn(&paths, number), unfinished_body()).with_token(&target.token);
        Call { patience, ..call }
    });
}

/// As `unfinished`, to the method that needs no credentials.
pub fn unfinished_health_checks(attack: &Attack) {
    attack.keep(2_250, 9, |_| Call::new(HEALTH_CHECK, unfinished_body()));
}

pub fn slow_bodies(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    attack.keep(60, 4, move |_| Call::new(CREATE_ARTICLE, trickling(SLOW_BODY)).with_token(&target.token));
}

/// Whole calls to the methods of a class.
pub fn flood(attack: &Attack, class: Class) {
    let (target, paths) = (Arc::clone(&attack.target), class.paths());
    attack.keep(512, 4, move |number| sampled(&target, in_turn(&paths, number), number));
}

/// Whole calls to the methods of a class that are reset soon.
pub fn given_up(attack: &Attack, class: Class) {
    let (target, paths) = (Arc::clone(&attack.target), class.paths());
    attack.keep(256, 4, move |number| {
        let patience = Duration::from_millis(number % 20);
        sampled(&target, in_turn(&paths, number), number).given_up_after(patience)
    });
}

/// Reads that wait for a position, as long as the service lets them.
pub fn future_reads(attack: &Attack, calls: usize) {
    let target = Arc::clone(&attack.target);
    attack.keep(calls, calls.div_ceil(250), move |number| {
        let position = target.records.future_position.clone();
        sampled(&target, GET_MEETING, number).with_header("readout-min-position", position)
    });
}

/// Reports that wait for their turn on one meeting. A meeting that is full is followed by the next.
pub fn reports_to_one_meeting(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let named = |at: u64| format!(r#"{{"id": "p{at}", "name_as_written": "Hostile {at}", "presence": "PRESENT"}}"#);
    let participations = (0..PARTICIPATIONS).map(named).collect::<Vec<_>>().join(", ");
    attack.keep(900, 4, move |number| {
        let meeting =
            &target.records.meetings[(number / REPORTS_OF_A_MEETING) as usize % target.records.meetings.len()];
        let account = format!(r#"{{"kind": "TALKS", "title": "NUMBER", "participations": [{participations}]}}"#);
        let message =
            format!(r#"{{"meeting": "{meeting}", "report": {{"article": "ARTICLE", "account": {account}}}}}"#);
        call(&target, ADD_REPORT, &encode(ADD_REPORT, &message, &target.records, number))
    });
}

/// Counts of all pairs of participants, with a filter of many conditions on the participations.
pub fn expensive_counts(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let mut filter = String::from("status = HELD");
    for seniority in 1..=40 {
        write!(filter, r" OR participant((seniority <= {seniority} AND presence = PRESENT))").expect("a string");
    }
    let message = format!(
        r#"{{"filter": "{filter}", "group_by": ["participant_pair"], "count_participants": true,
            "order_by": "participant_count desc", "page_size": 1000}}"#
    );
    let message = encode(AGGREGATE, &message, &target.records, 0);
    attack.keep(16, 1, move |_| call(&target, AGGREGATE, &message));
}

/// Searches for common words.
pub fn searches(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let words = ["the", "met", "with", "in", "and", "of", "minister", "president", "china", "beijing"];
    let query = (0..100).map(|at| words[at % words.len()]).collect::<Vec<_>>().join(" or ");
    let message = format!(r#"{{"query": "{query}", "page_size": 1000, "view": "FULL"}}"#);
    let message = encode(LIST_ARTICLES, &message, &target.records, 0);
    attack.keep(32, 1, move |_| call(&target, LIST_ARTICLES, &message));
}

pub fn large_pages(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let message = encode(LIST_MEETINGS, LARGE_PAGE, &target.records, 0);
    attack.keep(64, 2, move |_| call(&target, LIST_MEETINGS, &message));
}

pub fn batch_reads(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let names: Vec<_> = target.records.conferences.iter().cycle().take(1_000).map(|name| format!("{name:?}")).collect();
    let message = format!(r#"{{"names": [{}], "view": "FULL"}}"#, names.join(", "));
    let message = encode(BATCH_GET_MEETINGS, &message, &target.records, 0);
    attack.keep(64, 2, move |_| call(&target, BATCH_GET_MEETINGS, &message));
}

/// Pages that nobody reads.
pub fn unread_pages(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let message = encode(LIST_MEETINGS, LARGE_PAGE, &target.records, 0);
    attack.keep(500, 2, move |_| call(&target, LIST_MEETINGS, &message).unread());
}

/// Calls that are refused for what they ask, if it is not a stream.
pub fn empty_messages(attack: &Attack) {
    let target = Arc::clone(&attack.target);
    let paths: Vec<_> = all_paths().into_iter().filter(|path| !Class::Stream.paths().contains(path)).collect();
    attack.keep(512, 4, move |number| call(&target, in_turn(&paths, number), &[]));
}

/// Calls with tokens that are well-formed and unknown, each another one.
pub fn refused_credentials(attack: &Attack) {
    attack.keep(512, 4, |_| {
        let token = ApiToken::generate().expect("random bytes").reveal();
        Call::new(GET_MEETING, whole(&[])).with_token(&token)
    });
}

pub fn no_credentials(attack: &Attack) {
    attack.keep(512, 4, |_| Call::new(GET_MEETING, whole(&[])));
}
