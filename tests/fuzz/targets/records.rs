//! Rules that read whole records: evidence, settling, and records as they are stored.

use prost::Message;
use readout::{
    model::{
        canonical::Canonical,
        evidence::{IndexedText, check, clear_redundant_offsets, mark_stale},
        mask::diff,
        participant::NO_PERSONS,
        report,
        resource::{Collection, Record},
        rules::{Check, ClearOutput, Path, Violations},
        settle::{SourceReport, disputes, settle, unite},
    },
    pb::{
        Account, Article, Evidence, ListReportsResponse, Meeting, OffsetEncoding, Participant, Report, Story,
        StoryReport, evidence::Match,
    },
};
use uuid::Uuid;

use super::named;

/// Looks up the evidence of a story's reports in the text of its article, with offsets in each unit.
pub fn evidence(input: &[u8]) {
    let Ok(mut story) = Story::decode(input) else { return };
    let sent = story.article.as_ref().map(|article| article.text.clone()).unwrap_or_default();
    story.canonicalize();
    let stored = story.article.take().unwrap_or_default().text;
    for unit in [OffsetEncoding::CodePoint, OffsetEncoding::Utf16, OffsetEncoding::Byte] {
        let text = IndexedText::new(&stored).with_offsets_in(unit, (sent != stored).then_some(sent.as_str()));
        for report in &story.reports {
            evidence_of(&mut report.clone(), &text, &stored);
        }
    }
}

fn evidence_of(report: &mut StoryReport, text: &IndexedText<'_>, stored: &str) {
    let account = report.account.clone().unwrap_or_default();
    let mut without_text = report.evidence.clone();
    check(&mut without_text, &account, None, &Path::ROOT, &mut Violations::default());
    let mut out = Violations::default();
    check(&mut report.evidence, &account, Some(text), &Path::ROOT, &mut out);
    out.iter().for_each(|violation| super::assert_printable(&violation.description));
    if !out.is_empty() {
        return;
    }
    let checked = report.evidence.clone();
    for cited in &checked {
        assert_eq!(text.words(cited.start as usize, cited.end as usize), Some(cited.quote.as_str()), "{cited:?}");
        assert!(
            cited.prefix.is_empty() && cited.suffix.is_empty() && cited.r#match() != Match::Unspecified,
            "{cited:?}"
        );
    }
    mark_stale(&mut report.evidence, text);
    assert!(report.evidence.iter().all(|cited| !cited.stale), "evidence that was found is not stale");
    clear_redundant_offsets(&mut report.evidence, text);
    // Stored evidence is found again, as it is: its offsets count code points.
    let text = IndexedText::new(stored);
    let mut again = Violations::default();
    check(&mut report.evidence, &account, Some(&text), &Path::ROOT, &mut again);
    let exact = |cited: &Evidence| Evidence { stale: false, r#match: Match::Exact.into(), ..cited.clone() };
    let refused: Vec<_> = again.iter().collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(report.evidence, checked.iter().map(exact).collect::<Vec<_>>());
}

/// Settles the reports of a list that keep the rules of the contract, as stored reports do.
pub fn settling(input: &[u8]) {
    let Ok(list) = ListReportsResponse::decode(input) else { return };
    let mut reports: Vec<Report> = Vec::new();
    let mut rulings: Vec<Report> = Vec::new();
    for (number, mut sent) in list.reports.into_iter().take(12).enumerate() {
        let ruling = sent.ruling.take();
        sent.canonicalize();
        sent.clear_output();
        if !sent.violations().is_empty() {
            continue;
        }
        sent.name = Collection::Reports.name(Uuid::from_u128(number as u128));
        sent.content_hash = report::content_hash(&report::content(&sent, None));
        match ruling {
            Some(ruling) => rulings.push(Report { ruling: Some(ruling), ..sent }),
            None => reports.push(sent),
        }
    }
    let source = |(number, report)| SourceReport {
        report,
        origin: Uuid::from_u128(number as u128 / 2),
        publish_date: None,
        uri: if number % 3 == 0 { "urn:a" } else { "urn:b" },
        persons: &NO_PERSONS,
    };
    let sources: Vec<SourceReport<'_>> = reports.iter().enumerate().map(source).collect();
    let rulings: Vec<&Report> = rulings.iter().collect();
    let settled = settle(&sources, &rulings);
    let reversed: Vec<SourceReport<'_>> = sources.iter().rev().copied().collect();
    let reversed_rulings: Vec<&Report> = rulings.iter().rev().copied().collect();
    assert_eq!(settle(&reversed, &reversed_rulings), settled, "the order of reports does not matter");
    assert_eq!(unite(&reversed), unite(&sources));
    assert_eq!(disputes(&reversed, &reversed_rulings, usize::MAX), disputes(&sources, &rulings, usize::MAX));
    let twice: Vec<SourceReport<'_>> = sources.iter().chain(&sources).copied().collect();
    assert_eq!(settle(&twice, &rulings), settled, "repeated reports do not matter");
    if rulings.is_empty() {
        // A settled account may exceed the limits of one report, which then cannot hold it.
        let violations = settled.account.violations();
        assert!(
            violations.iter().all(|violation| violation.description.contains("at most")),
            "a settled account is valid: {violations:?}"
        );
        let report = Report { account: Some(settled.account.clone()), ..Default::default() };
        if violations.is_empty() && report.account != Some(Account::default()) {
            let again = settle(&[SourceReport { report: &report, ..source((0, &report)) }], &[]);
            assert_eq!(again.account, settled.account, "a settled account settles to itself");
        }
    }
}

/// Decodes records as the store does, and compares a record with an empty one.
pub fn resources(input: &[u8]) {
    let Some((name, bytes)) = named(input) else { return };
    let Some(collection) = Collection::ALL.into_iter().find(|collection| collection.as_str() == name) else { return };
    let decoded = Record::decode(collection, bytes);
    let Ok(record) = decoded else { return };
    let (bytes, before, after) = match &record {
        Record::Article(record) => (record.encode_to_vec(), diff::read::<Article>(&[]), diff::read::<Article>(bytes)),
        Record::Participant(record) => {
            (record.encode_to_vec(), diff::read::<Participant>(&[]), diff::read::<Participant>(bytes))
        }
        Record::Report(record) => (record.encode_to_vec(), diff::read::<Report>(&[]), diff::read::<Report>(bytes)),
        Record::Meeting(record) => (record.encode_to_vec(), diff::read::<Meeting>(&[]), diff::read::<Meeting>(bytes)),
    };
    let (before, after) = (before.expect("an empty message"), after.expect("a message that was decoded"));
    diff::changed_paths(&before, &after);
    // A number that is not one differs from itself. The rules of the contract refuse it.
    let same = after.clone();
    assert!(same != after || diff::changed_paths(&after, &same).is_empty());
    assert_eq!(Record::decode(collection, &bytes).expect("it was encoded").encoded(), bytes);
    let _ = report::decode_for_settling(&bytes);
}

/// A record as bytes.
trait Encoded {
    fn encoded(&self) -> Vec<u8>;
}

impl Encoded for Record {
    fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Article(record) => record.encode_to_vec(),
            Self::Participant(record) => record.encode_to_vec(),
            Self::Report(record) => record.encode_to_vec(),
            Self::Meeting(record) => record.encode_to_vec(),
        }
    }
}
