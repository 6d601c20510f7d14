//! The policy on evidence: the fields of accounts for which every report of an article must have evidence.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use super::idempotency::WriteCall;
use crate::{
    model::{
        evidence::{AccountField, MissingEvidence, missing},
        rules::{Path, Violations},
    },
    pb::{Account, ErrorReason, Report},
    service::error::ServiceError,
};

/// Maximum number of fields that one warning names.
const MAX_WARNING_FIELDS: usize = 10;

/// The policy of the service. The default requires nothing.
#[derive(Debug, Clone, Default)]
pub struct EvidencePolicy {
    /// The required fields.
    pub required: Arc<[AccountField]>,
    /// True if the service accepts reports without this evidence, and only warns and counts.
    pub only_warns: bool,
}

impl EvidencePolicy {
    /// Checks a report of an article whose evidence is in its stored form. `account` is the path of its account in the
    /// request. Counts it if it lacks evidence.
    ///
    /// # Errors
    /// `Invalid` with each field that lacks evidence, unless the policy only warns.
    pub fn check(&self, call: &WriteCall, report: &Report, account: &Path<'_>) -> Result<(), ServiceError> {
        let mut checked = Checked::default();
        checked.report(self, (&[], report), account);
        checked.count(self, call);
        Ok(checked.violations.into_result()?)
    }

    /// Checks the reports of a story that are not stored yet, each with its index and key. `requested` are the fields
    /// that the request requires in addition, even if the policy of the service only warns. Returns warnings.
    ///
    /// # Errors
    /// `Invalid` with each field that lacks evidence, except those that the policy only warns about.
    pub fn check_story<'a>(
        &self,
        call: &WriteCall,
        requested: &[AccountField],
        reports: impl Iterator<Item = (usize, &'a str, &'a Report)>,
    ) -> Result<Vec<String>, ServiceError> {
        if self.required.is_empty() && requested.is_empty() {
            return Ok(Vec::new());
        }
        let story = Path::ROOT.field("story");
        let at = story.field("reports");
        let (mut checked, mut warnings) = (Checked::default(), Vec::new());
        for (index, key, report) in reports {
            let accepted = checked.report(self, (requested, report), &at.index(index).field("account"));
            warnings.extend((!accepted.is_empty()).then(|| warning(key, &accepted)));
        }
        checked.count(self, call);
        checked.violations.into_result()?;
        Ok(warnings)
    }
}

/// The result for the reports of one call.
#[derive(Default)]
struct Checked<'a> {
    violations: Violations,
    /// The fields that the policy of the service requires and a report lacks, once for each report.
    lacking: Vec<&'a AccountField>,
}

impl<'a> Checked<'a> {
    /// Checks one report. Returns the missing evidence that the policy only warns about.
    fn report(
        &mut self,
        policy: &'a EvidencePolicy,
        (requested, report): (&[AccountField], &Report),
        at: &Path<'_>,
    ) -> Vec<MissingEvidence> {
        let none = Account::default();
        let account = report.account.as_ref().unwrap_or(&none);
        let missing = missing(account, &report.evidence, policy.required.iter().chain(requested));
        let lacks = |field: &&AccountField| missing.iter().any(|missing| missing.required == **field);
        self.lacking.extend(policy.required.iter().collect::<BTreeSet<_>>().into_iter().filter(lacks));
        let is_accepted = |missing: &MissingEvidence| policy.only_warns && !requested.contains(&missing.required);
        let (accepted, refused): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_accepted);
        for MissingEvidence { path, required } in refused {
            self.violations.add_detailed(ErrorReason::EvidenceMissing, &at.field(&path), || {
                let required = required.as_str();
                (format!("must have evidence, which is required for {required}"), vec![("required", required.into())])
            });
        }
        accepted
    }

    /// Counts the reports, once for a call, however often it is prepared.
    fn count(&self, policy: &EvidencePolicy, call: &WriteCall) {
        if self.lacking.is_empty() || call.is_evidence_counted.swap(true, Ordering::Relaxed) {
            return;
        }
        let mode = if policy.only_warns { "warn" } else { "enforce" };
        for field in &self.lacking {
            let field = field.as_str().to_owned();
            metrics::counter!("readout_evidence_missing_total", "field" => field, "mode" => mode).increment(1);
        }
    }
}

/// The warning for a report that is accepted.
fn warning(key: &str, missing: &[MissingEvidence]) -> String {
    let named: Vec<&str> = missing.iter().take(MAX_WARNING_FIELDS).map(|missing| missing.path.as_str()).collect();
    let more = match missing.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("report {key:?}: has no evidence for {}{more}, which the service is to require", named.join(", "))
}
