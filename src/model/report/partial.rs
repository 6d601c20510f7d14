//! Decodes parts of stored reports: those that settling needs, and those of the FULL view of a meeting.

use prost::Message;
use prost_types::Timestamp;

use crate::{
    model::resource::decode,
    pb::{
        Account, Announcement, Binding, DateSpan, Delegation, ExternalId, Participation, Place, Report, Ruling,
        Statement, Stop,
    },
};

/// Decodes a report without its evidence, which the FULL view of a meeting does not have.
///
/// # Errors
/// If the bytes are not an encoded report.
pub fn decode_for_view(report: &[u8]) -> Result<Report, prost::DecodeError> {
    let ViewFields { name, create_time, article, account, ruling, content_hash, bindings } =
        ViewFields::decode(report)?;
    Ok(Report { name, create_time, article, account, ruling, content_hash, bindings, ..Default::default() })
}

/// The fields of `Report` that the FULL view of a meeting needs, with the same tags.
#[derive(Message)]
struct ViewFields {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    create_time: Option<Timestamp>,
    #[prost(string, tag = "11")]
    article: String,
    #[prost(message, optional, tag = "13")]
    account: Option<Account>,
    #[prost(message, optional, tag = "17")]
    ruling: Option<Ruling>,
    #[prost(string, tag = "20")]
    content_hash: String,
    #[prost(message, repeated, tag = "22")]
    bindings: Vec<Binding>,
}

/// Decodes the fields of a report that settling needs, and its prominence. Skips evidence, outcomes, links, and all of
/// statements but their speakers and addressees: most of a report.
///
/// # Errors
/// If the bytes are not an encoded report.
pub fn decode_for_settling(report: &[u8]) -> Result<Report, prost::DecodeError> {
    let SettleFields {
        name,
        create_time,
        article,
        account,
        prominence,
        ruling,
        content_hash,
        bindings,
        mut evidence_coverage,
    } = SettleFields::decode(report)?;
    // An older release may have written it, without the coverage.
    if evidence_coverage == 0.0 && HasEvidence::decode(report)?.evidence.is_some() {
        evidence_coverage = decode::<Report>(report)?.evidence_coverage;
    }
    let account = account.map(|account| Account {
        kind: account.kind,
        status: account.status,
        title: account.title,
        summary: account.summary,
        topics: account.topics,
        date: account.date,
        place: account.place,
        announcement: account.announcement,
        delegations: account.delegations,
        participations: account.participations,
        initiator: account.initiator,
        statements: account.statements.into_iter().map(StatementFields::into_statement).collect(),
        outcomes: Vec::new(),
        links: Vec::new(),
        external_ids: account.external_ids,
        stops: account.stops,
        visit_type: account.visit_type,
    });
    Ok(Report {
        name,
        create_time,
        article,
        account,
        prominence,
        ruling,
        content_hash,
        bindings,
        evidence_coverage,
        ..Default::default()
    })
}

/// Tells whether a report has evidence, with the tag of the list. The last item is decoded, without its fields.
#[derive(Message)]
struct HasEvidence {
    #[prost(message, optional, tag = "15")]
    evidence: Option<()>,
}

/// The fields of `Report` that settling needs, with the same tags.
#[derive(Message)]
struct SettleFields {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    create_time: Option<Timestamp>,
    #[prost(string, tag = "11")]
    article: String,
    #[prost(message, optional, tag = "13")]
    account: Option<AccountFields>,
    #[prost(int32, tag = "14")]
    prominence: i32,
    #[prost(message, optional, tag = "17")]
    ruling: Option<Ruling>,
    #[prost(string, tag = "20")]
    content_hash: String,
    #[prost(message, repeated, tag = "22")]
    bindings: Vec<Binding>,
    #[prost(float, tag = "23")]
    evidence_coverage: f32,
}

/// The fields of `Account` that settling needs, with the same tags.
#[derive(Message)]
struct AccountFields {
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
    #[prost(message, repeated, tag = "12")]
    statements: Vec<StatementFields>,
    #[prost(message, repeated, tag = "15")]
    external_ids: Vec<ExternalId>,
    #[prost(message, repeated, tag = "16")]
    stops: Vec<Stop>,
    #[prost(int32, tag = "17")]
    visit_type: i32,
}

/// The fields of `Statement` that settling needs, with the same tags.
#[derive(Message)]
struct StatementFields {
    #[prost(int32, tag = "2")]
    speaker_kind: i32,
    #[prost(string, repeated, tag = "3")]
    speakers: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    addressees: Vec<String>,
}

impl StatementFields {
    fn into_statement(self) -> Statement {
        let Self { speaker_kind, speakers, addressees } = self;
        Statement { speaker_kind, speakers, addressees, ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{evidence, settle::tests::accounts::any_account},
        pb::{Evidence, Link, Outcome},
    };

    #[test]
    fn report_of_an_older_release_is_decoded_with_its_coverage() {
        let evidence = vec![Evidence { field: "title".into(), quote: "Talks".into(), ..Default::default() }];
        let account = Some(Account { title: "Talks".into(), kind: 1, ..Default::default() });
        let mut former = Report { account, evidence, ..Default::default() };
        let encoded = former.encode_to_vec();
        evidence::set_coverage(&mut former);
        assert!(former.evidence_coverage > 0.0);
        assert_eq!(decode::<Report>(&encoded).unwrap().evidence_coverage, former.evidence_coverage);
        assert_eq!(decode_for_settling(&encoded).unwrap().evidence_coverage, former.evidence_coverage);
        let stored = Report { evidence: Vec::new(), evidence_coverage: 0.25, ..former.clone() };
        assert_eq!(decode_for_settling(&stored.encode_to_vec()).unwrap().evidence_coverage, 0.25);
        let without = Report { evidence: Vec::new(), evidence_coverage: 0.0, ..former };
        assert_eq!(decode_for_settling(&without.encode_to_vec()).unwrap().evidence_coverage, 0.0);
    }

    proptest! {
        #[test]
        fn decode_for_settling_keeps_the_fields_of_settling(account in any_account()) {
            let ruling = Some(Ruling { reason: "seen".into(), ..Default::default() });
            let create_time = Some(Timestamp { seconds: 1, nanos: 2 });
            let parts = |statement: &Statement| {
                let Statement { speaker_kind, speakers, addressees, .. } = statement.clone();
                Statement { speaker_kind, speakers, addressees, ..Default::default() }
            };
            let settled = Report {
                name: "reports/1".into(),
                create_time,
                article: "articles/1".into(),
                account: Some(Account { statements: account.statements.iter().map(parts).collect(), ..account.clone() }),
                ruling,
                content_hash: "ab".into(),
                ..Default::default()
            };
            let (outcomes, links) = (vec![Outcome::default()], vec![Link::default()]);
            let cited = vec![Evidence { field: "title".into(), ..Default::default() }];
            let account = Some(Account { outcomes, links, ..account });
            let report = Report { account, evidence: cited, revision: 3, ..settled.clone() };
            // That of the title, which may be unset.
            let mut covered = report.clone();
            evidence::set_coverage(&mut covered);
            let settled = Report { evidence_coverage: covered.evidence_coverage, ..settled };
            prop_assert_eq!(decode_for_settling(&report.encode_to_vec()), Ok(settled));
        }
    }
}
