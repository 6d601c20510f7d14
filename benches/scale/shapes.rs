//! What is asked: a line for each kind of question.

use serde_json::json;

use super::{
    asker::Asker,
    question::{Question, ask},
};

/// What a shape should keep to, in the middle.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// So many times what it takes among a tenth of the records.
    Times(f64),
    /// So many milliseconds.
    Millis(f64),
}

/// A kind of question.
pub struct Shape {
    pub name: &'static str,
    pub wanted: Wanted,
    pub question: fn(&mut Asker) -> Question,
}

/// A page need not take longer because there is more that is not on it.
const PAGE: Wanted = Wanted::Times(1.5);

const fn shape(name: &'static str, wanted: Wanted, question: fn(&mut Asker) -> Question) -> Shape {
    Shape { name, wanted, question }
}

pub const SHAPES: &[Shape] = &[
    shape("all", PAGE, |_| meetings(String::new())),
    shape("the newest", PAGE, |_| newest(String::new())),
    shape("region", PAGE, |its| meetings(format!("region = {}", its.region()))),
    shape("region, the newest", PAGE, |its| newest(format!("region = {}", its.region()))),
    shape("between", PAGE, |its| {
        let [one, other] = its.pair();
        meetings(format!(r#"between("{one}", "{other}")"#))
    }),
    shape("place.region", PAGE, |its| meetings(format!("place.region = {}", its.place()))),
    shape("participant", PAGE, |its| meetings(format!(r#"participant = "{}""#, its.somebody()))),
    shape("participant, a rare one", PAGE, |its| meetings(format!(r#"participant = "{}""#, its.anybody()))),
    shape("participant, the busiest", PAGE, |its| meetings(format!(r#"participant = "{}""#, its.facts.busiest.name))),
    shape("topic", PAGE, |its| meetings(format!("topic = {}", its.topic()))),
    shape("kind AND date of a month", PAGE, |its| {
        meetings(format!("kind = {} AND date = {}", its.kind(), its.month()))
    }),
    shape("date of a year", PAGE, |its| meetings(format!("date = {}", &its.month()[..4]))),
    shape("date of a week", PAGE, |its| {
        let month = its.month();
        meetings(format!("date >= {month}-03 AND date <= {month}-09"))
    }),
    shape("date AND region", PAGE, |its| meetings(format!("date = {} AND region = {}", its.month(), its.region()))),
    shape("participant((region AND role AND seniority))", PAGE, |its| {
        meetings(format!("participant((region = {} AND role = HEAD_OF_DELEGATION AND seniority <= 2))", its.region()))
    }),
    shape("participant((role)), a rare one", PAGE, |_| meetings("participant((role = MEDIATOR))".into())),
    shape("independent_source_count >= 3", PAGE, |_| meetings("independent_source_count >= 3".into())),
    shape("has_dispute", PAGE, |_| meetings("has_dispute = true".into())),
    shape("update_time", PAGE, |_| meetings("update_time >= 2020-01-01".into())),
    shape("articles by words", PAGE, |its| {
        let query = format!("{} {}", its.word(), its.word());
        ask("ArticleService/ListArticles", json!({"query": query, "pageSize": PAGE_SIZE}))
    }),
    shape("statements by speaker", PAGE, |its| statements(format!(r#"speaker = "{}""#, its.somebody()))),
    shape("statements by topic", PAGE, |its| statements(format!("topic = {}", its.topic()))),
    shape("counterparts of one with many meetings", Wanted::Millis(100.0), |its| counterparts(&its.facts.busy.name)),
    shape("counterparts of the busiest", Wanted::Millis(1_000.0), |its| counterparts(&its.facts.busiest.name)),
    shape("path between two who meet often", Wanted::Millis(1_000.0), |its| path(its.two(Asker::somebody))),
    shape("path between any two", Wanted::Millis(1_000.0), |its| path(its.two(Asker::anybody))),
    shape("meetings by month", Wanted::Millis(500.0), |_| aggregate(&["month"], false)),
    shape("distinct participants", Wanted::Millis(2_000.0), |_| aggregate(&[], true)),
];

const PAGE_SIZE: i32 = 50;

fn meetings(filter: String) -> Question {
    ask("MeetingService/ListMeetings", json!({"filter": filter, "pageSize": PAGE_SIZE}))
}

fn newest(filter: String) -> Question {
    ask("MeetingService/ListMeetings", json!({"filter": filter, "orderBy": "date desc", "pageSize": PAGE_SIZE}))
}

fn statements(filter: String) -> Question {
    ask("MeetingService/ListStatements", json!({"filter": filter, "pageSize": PAGE_SIZE}))
}

fn counterparts(participant: &str) -> Question {
    ask("ParticipantService/ListCounterparts", json!({"participant": participant, "pageSize": PAGE_SIZE}))
}

fn path([source, target]: [String; 2]) -> Question {
    ask("ParticipantService/FindPath", json!({"source": source, "target": target, "maxDepth": 4}))
}

fn aggregate(group_by: &[&str], count_participants: bool) -> Question {
    let request = json!({"groupBy": group_by, "countParticipants": count_participants, "pageSize": 1_000});
    ask("MeetingService/AggregateMeetings", request)
}
