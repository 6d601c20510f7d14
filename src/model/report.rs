//! Rules on reports: what makes two of them the same, and which records they name.

use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

use super::{resource::Collection, rules::ClearOutput};
use crate::pb::{Account, Announcement, DateSpan, Delegation, Participation, Place, Report, Ruling};

/// Identifies a report's content as it was sent, before `#keys` stand for names and offsets are filled in: the same
/// article and hash is the same report. BLAKE3 over the message without what the service sets, as 64 hexadecimal
/// digits.
pub fn content_hash(sent: &Report) -> String {
    let mut content = sent.clone();
    content.clear_output();
    content.name.clear();
    content.article.clear();
    blake3::hash(&content.encode_to_vec()).to_hex().to_string()
}

/// Reads of an encoded report what settling looks at: not its evidence, nor its statements, outcomes and links, which are
/// most of it.
pub fn read_to_settle(report: &[u8]) -> Result<Report, prost::DecodeError> {
    let Told { name, create_time, article, account, ruling, content_hash } = Told::decode(report)?;
    let account = account.map(|told| Account {
        kind: told.kind,
        status: told.status,
        title: told.title,
        summary: told.summary,
        topics: told.topics,
        date: told.date,
        place: told.place,
        announcement: told.announcement,
        delegations: told.delegations,
        participations: told.participations,
        initiator: told.initiator,
        statements: Vec::new(),
        outcomes: Vec::new(),
        links: Vec::new(),
    });
    Ok(Report { name, create_time, article, account, ruling, content_hash, ..Default::default() })
}

/// Fields of `Report`, under its numbers.
#[derive(Message)]
struct Told {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    create_time: Option<Timestamp>,
    #[prost(string, tag = "11")]
    article: String,
    #[prost(message, optional, tag = "13")]
    account: Option<ToldAccount>,
    #[prost(message, optional, tag = "17")]
    ruling: Option<Ruling>,
    #[prost(string, tag = "20")]
    content_hash: String,
}

/// Fields of `Account`, under its numbers.
#[derive(Message)]
struct ToldAccount {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(int32, tag = "2")]
    status: i32,
    #[prost(string, tag = "3")]
    title: String,
    #[prost(string, tag = "4")]
    summary: String,
    #[prost(string, repeated, tag = "5")]
    topics: Vec<String>,
    #[prost(message, optional, tag = "6")]
    date: Option<DateSpan>,
    #[prost(message, optional, tag = "7")]
    place: Option<Place>,
    #[prost(message, optional, tag = "8")]
    announcement: Option<Announcement>,
    #[prost(message, repeated, tag = "9")]
    delegations: Vec<Delegation>,
    #[prost(message, repeated, tag = "10")]
    participations: Vec<Participation>,
    #[prost(string, tag = "11")]
    initiator: String,
}

/// The participants that an account names.
pub fn participants(account: &Account) -> impl Iterator<Item = Uuid> {
    account.participations.iter().filter_map(|one| Collection::Participants.id(&one.participant))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::settle::cases::any_account,
        pb::{Evidence, Link, Outcome},
    };

    proptest! {
        #[test]
        fn what_settling_looks_at_is_read_as_it_is(account in any_account()) {
            let ruling = Some(Ruling { reason: "seen".into(), ..Default::default() });
            let create_time = Some(Timestamp { seconds: 1, nanos: 2 });
            let settled = Report {
                name: "reports/1".into(),
                create_time,
                article: "articles/1".into(),
                account: Some(Account { statements: Vec::new(), ..account.clone() }),
                ruling,
                content_hash: "ab".into(),
                ..Default::default()
            };
            let (outcomes, links) = (vec![Outcome::default()], vec![Link::default()]);
            let evidence = vec![Evidence { field: "title".into(), ..Default::default() }];
            let account = Some(Account { outcomes, links, ..account });
            let report = Report { account, evidence, revision: 3, ..settled.clone() };
            prop_assert_eq!(read_to_settle(&report.encode_to_vec()), Ok(settled));
        }
    }
}
