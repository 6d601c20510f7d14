//! The measured queries, one entry for each kind.

use serde_json::json;

use super::{filter_values::Sampler, query::Query};

/// The limit for the median latency of a shape.
#[derive(Clone, Copy)]
pub enum Target {
    /// Relative to the latency over a tenth of the records.
    Times(f64),
    /// In milliseconds.
    Millis(f64),
}

/// A kind of query.
pub struct Shape {
    pub name: &'static str,
    pub target: Target,
    pub query: fn(&mut Sampler) -> Query,
}

/// The latency of a page must not grow with the number of records that are not on it.
const PAGE: Target = Target::Times(1.5);

const fn shape(name: &'static str, target: Target, query: fn(&mut Sampler) -> Query) -> Shape {
    Shape { name, target, query }
}

pub const SHAPES: &[Shape] = &[
    shape("all", PAGE, |_| meetings(String::new())),
    shape("the newest", PAGE, |_| newest(String::new())),
    shape("region", PAGE, |sampler| meetings(format!("region = {}", sampler.region()))),
    shape("region, the newest", PAGE, |sampler| newest(format!("region = {}", sampler.region()))),
    shape("between", PAGE, |sampler| {
        let [first, second] = sampler.pair();
        meetings(format!(r#"between("{first}", "{second}")"#))
    }),
    shape("place.region", PAGE, |sampler| meetings(format!("place.region = {}", sampler.place()))),
    shape("participant", PAGE, |sampler| meetings(format!(r#"participant = "{}""#, sampler.participant()))),
    shape("participant, a rare one", PAGE, |sampler| {
        meetings(format!(r#"participant = "{}""#, sampler.any_participant()))
    }),
    shape("participant, the busiest", PAGE, |sampler| {
        meetings(format!(r#"participant = "{}""#, sampler.facts.busiest.name))
    }),
    shape("topic", PAGE, |sampler| meetings(format!("topic = {}", sampler.topic()))),
    shape("kind AND date of a month", PAGE, |sampler| {
        meetings(format!("kind = {} AND date = {}", sampler.kind(), sampler.month()))
    }),
    shape("date of a year", PAGE, |sampler| meetings(format!("date = {}", &sampler.month()[..4]))),
    shape("date of a week", PAGE, |sampler| {
        let month = sampler.month();
        meetings(format!("date >= {month}-03 AND date <= {month}-09"))
    }),
    shape("date AND region", PAGE, |sampler| {
        meetings(format!("date = {} AND region = {}", sampler.month(), sampler.region()))
    }),
    shape("participant((region AND role AND seniority))", PAGE, |sampler| {
        meetings(format!(
            "participant((region = {} AND role = HEAD_OF_DELEGATION AND seniority <= 2))",
            sampler.region()
        ))
    }),
    shape("participant((role)), a rare one", PAGE, |_| meetings("participant((role = MEDIATOR))".into())),
    shape("independent_source_count >= 3", PAGE, |_| meetings("independent_source_count >= 3".into())),
    shape("has_dispute", PAGE, |_| meetings("has_dispute = true".into())),
    shape("update_time", PAGE, |_| meetings("update_time >= 2020-01-01".into())),
    shape("articles by words", PAGE, |sampler| {
        let query = format!("{} {}", sampler.word(), sampler.word());
        Query::new("ArticleService/ListArticles", json!({"query": query, "pageSize": PAGE_SIZE}))
    }),
    shape("statements by speaker", PAGE, |sampler| statements(format!(r#"speaker = "{}""#, sampler.participant()))),
    shape("statements by topic", PAGE, |sampler| statements(format!("topic = {}", sampler.topic()))),
    shape("counterparts of one with many meetings", Target::Millis(100.0), |sampler| {
        counterparts(&sampler.facts.busy.name)
    }),
    shape("counterparts of the busiest", Target::Millis(1_000.0), |sampler| counterparts(&sampler.facts.busiest.name)),
    shape("path between two who meet often", Target::Millis(1_000.0), |sampler| {
        path(sampler.two(Sampler::participant))
    }),
    shape("path between any two", Target::Millis(1_000.0), |sampler| path(sampler.two(Sampler::any_participant))),
    shape("meetings by month", Target::Millis(500.0), |_| aggregate(&["month"], false)),
    shape("distinct participants", Target::Millis(2_000.0), |_| aggregate(&[], true)),
];

const PAGE_SIZE: i32 = 50;

fn meetings(filter: String) -> Query {
    Query::new("MeetingService/ListMeetings", json!({"filter": filter, "pageSize": PAGE_SIZE}))
}

fn newest(filter: String) -> Query {
    Query::new("MeetingService/ListMeetings", json!({"filter": filter, "orderBy": "date desc", "pageSize": PAGE_SIZE}))
}

fn statements(filter: String) -> Query {
    Query::new("MeetingService/ListStatements", json!({"filter": filter, "pageSize": PAGE_SIZE}))
}

fn counterparts(participant: &str) -> Query {
    Query::new("ParticipantService/ListCounterparts", json!({"participant": participant, "pageSize": PAGE_SIZE}))
}

fn path([source, target]: [String; 2]) -> Query {
    Query::new("ParticipantService/FindPath", json!({"source": source, "target": target, "maxDepth": 4}))
}

fn aggregate(group_by: &[&str], count_participants: bool) -> Query {
    let request = json!({"groupBy": group_by, "countParticipants": count_participants, "pageSize": 1_000});
    Query::new("MeetingService/AggregateMeetings", request)
}
