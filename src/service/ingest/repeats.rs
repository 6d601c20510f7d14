//! Reports of one story that tell the same account. An article reports an event once: equal accounts become one report,
//! and all their keys stand for it.

use std::collections::{HashMap, HashSet};

use prost::Message;
use uuid::Uuid;

use crate::{
    model::rules::{Path, Violations},
    pb::{Account, Evidence, Report, report::Prominence},
};

/// Maximum number of quotes of a report. The contract declares it.
const MAX_EVIDENCE: usize = 5_000;

/// A report of a validated story.
#[derive(Debug)]
pub struct ValidatedReport {
    pub key: String,
    /// Its place in the story.
    pub position: usize,
    /// The meeting that the report is to be added to, if the story names one.
    pub meeting: Option<Uuid>,
    /// The report with its hash and completed evidence. Participants are still `#keys`, not names.
    pub report: Report,
    /// The content hash by the first version of the rule, as release 0.1.0 stored it.
    pub former_hash: String,
    /// The hashes of the reports of this account, if there are several.
    pub other_hashes: Vec<String>,
}

impl ValidatedReport {
    /// The hashes that a stored report with this content may have, the most recent first.
    pub fn hashes(&self) -> impl Iterator<Item = &String> {
        [&self.report.content_hash, &self.former_hash].into_iter().chain(&self.other_hashes)
    }
}

/// A report of a story that is stored as another one of the same story.
#[derive(Debug)]
pub struct RepeatedReport {
    /// Its key.
    pub key: String,
    /// Its place in the story.
    pub position: usize,
    /// The index of the other report among the validated ones.
    pub of: usize,
    /// The hash of its own content: an older release stored it as a report of its own.
    pub content_hash: String,
}

/// The reports of a story, without those that repeat an earlier one.
#[derive(Debug, Default)]
pub struct DistinctReports {
    reports: Vec<ValidatedReport>,
    repeated: Vec<RepeatedReport>,
    /// The indexes of reports, by the hash of their account.
    by_account: HashMap<blake3::Hash, Vec<usize>>,
}

impl DistinctReports {
    /// Adds the next report of the story, whose account has this hash. Equal accounts become one report, which has the
    /// first prominence that is stated, the meeting that one of them names, and the evidence of all of them. Accounts for
    /// different meetings stay two reports; equal reports cannot.
    pub fn add(&mut self, sent: ValidatedReport, account: blake3::Hash, at: &Path<'_>, out: &mut Violations) {
        let indexes = self.by_account.entry(account).or_default();
        let is_for_one_meeting = |other: &ValidatedReport| {
            other.meeting.is_none() || sent.meeting.is_none() || other.meeting == sent.meeting
        };
        let repeats = |index: &&usize| is_for_one_meeting(&self.reports[**index]);
        let Some(&of) = indexes.iter().find(repeats) else {
            let equal =
                indexes.iter().find(|index| self.reports[**index].report.content_hash == sent.report.content_hash);
            if let Some(equal) = equal {
                let other = self.reports[*equal].position;
                out.add(at, format!("repeats the report [{other}] of this story, and names another meeting"));
            }
            indexes.push(self.reports.len());
            return self.reports.push(sent);
        };
        let first = &mut self.reports[of];
        first.meeting = first.meeting.or(sent.meeting);
        if first.report.prominence() == Prominence::Unspecified {
            first.report.prominence = sent.report.prominence;
        }
        unite(&mut first.report.evidence, sent.report.evidence);
        first.other_hashes.extend([sent.report.content_hash.clone(), sent.former_hash]);
        self.repeated.push(RepeatedReport {
            key: sent.key,
            position: sent.position,
            of,
            content_hash: sent.report.content_hash,
        });
    }

    /// The reports and those that repeat them. `content_hash` computes the hash of a report that has the parts of several.
    pub fn into_parts(
        mut self,
        content_hash: impl Fn(&Report) -> String,
    ) -> (Vec<ValidatedReport>, Vec<RepeatedReport>) {
        for sent in self.reports.iter_mut().filter(|sent| !sent.other_hashes.is_empty()) {
            let own = std::mem::take(&mut sent.report.content_hash);
            sent.report.content_hash = content_hash(&sent.report);
            sent.other_hashes.insert(0, own);
        }
        (self.reports, self.repeated)
    }
}

/// Adds the quotes that the list does not have, as many as a report may have.
fn unite(evidence: &mut Vec<Evidence>, other: Vec<Evidence>) {
    if *evidence == other {
        return;
    }
    let known: HashSet<Vec<u8>> = evidence.iter().map(Message::encode_to_vec).collect();
    let new = other.into_iter().filter(|cited| !known.contains(&cited.encode_to_vec()));
    let room = MAX_EVIDENCE.saturating_sub(evidence.len());
    evidence.extend(new.take(room));
}

/// The hash by which accounts are compared.
pub fn account_hash(account: Option<&Account>) -> blake3::Hash {
    blake3::hash(&account.map(Message::encode_to_vec).unwrap_or_default())
}
