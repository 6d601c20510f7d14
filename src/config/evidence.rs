//! The options of the policy on evidence.

use clap::ValueEnum;

use crate::model::evidence::AccountField;

/// The options of the policy on evidence.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Evidence")]
pub struct Evidence {
    /// Fields of accounts that each new report of an article must have evidence for if it tells them, separated by
    /// commas, such as `date,participations.participant`. Default: none
    #[arg(long, env = "READOUT_REQUIRE_EVIDENCE", value_name = "FIELDS", value_delimiter = ',',
        value_parser = AccountField::parse)]
    pub require_evidence: Vec<AccountField>,
    /// Treatment of reports without this evidence: `enforce` refuses them, `warn` accepts them, with a warning in the
    /// answer to a story
    #[arg(long, env = "READOUT_REQUIRE_EVIDENCE_MODE", default_value = "enforce", value_name = "MODE")]
    pub require_evidence_mode: EvidenceMode,
}

/// The treatment of reports without required evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvidenceMode {
    Enforce,
    Warn,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { require_evidence: Vec::new(), require_evidence_mode: EvidenceMode::Enforce }
    }
}
