//! The options of `import`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Output, Server};
use crate::model::evidence::AccountField;

/// Maximum number of characters of a scheme. The contract declares it for `ExternalId.scheme`.
const MAX_SCHEME_CHARS: usize = 64;

/// The options of `import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Import {
    /// Files of JSON messages, concatenated or in an array, plain or compressed (gzip, zstd). `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub server: Server,
    /// Number of concurrent story streams; an export is imported with 16 concurrent records per stream
    #[arg(long, env = "READOUT_CONCURRENCY", default_value = "4", value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Rule that matches the participants of stories with stored ones
    #[arg(long, env = "READOUT_PARTICIPANT_MATCHING", default_value = "settled", value_name = "RULE")]
    pub participant_matching: ParticipantRule,
    /// Rule that finds the meetings of reports for which a story names none
    #[arg(long, env = "READOUT_MEETING_MATCHING", default_value = "none", value_name = "RULE")]
    pub meeting_matching: MeetingRule,
    /// Write a new revision of an article that exists with other content, instead of refusing its story
    #[arg(long, env = "READOUT_ALLOW_UPDATE")]
    pub allow_update: bool,
    /// Write nothing, and report what the import would do: the same totals, errors and exit status
    #[arg(long)]
    pub dry_run: bool,
    /// Scheme of the external ids of a register: after the import, list the participants, articles and meetings that have
    /// an id of this scheme and that the files do not have. Nothing is retracted
    #[arg(long, value_name = "SCHEME", value_parser = scheme)]
    pub edition: Option<String>,
    /// Fields of accounts that each report which is not stored yet must have evidence for if it tells them, separated by
    /// commas, such as `date,participations.participant`, besides those that the service requires
    #[arg(long, env = "READOUT_POLICY", value_name = "FIELDS", value_delimiter = ',',
        value_parser = AccountField::parse)]
    pub policy: Vec<AccountField>,
    /// Format of the messages: stories, or the output of an extractor
    #[arg(long, env = "READOUT_FORMAT", default_value = "story", value_name = "FORMAT")]
    pub format: StoryFormat,
    /// File of articles in ProtoJSON, to which messages of the other formats refer by the uri, the title or the order
    #[arg(long, env = "READOUT_ARTICLES", value_name = "FILE")]
    pub articles: Option<PathBuf>,
    /// Unit of the offsets of quotes in the messages
    #[arg(long, env = "READOUT_OFFSET_UNIT", default_value = "code-point", value_name = "UNIT")]
    pub offset_unit: OffsetUnit,
    /// Format of the totals: text on standard error, or one line of JSON on standard output
    #[arg(long, env = "READOUT_OUTPUT", default_value = "text")]
    pub output: Output,
    /// Print every error instead of the first few of each kind
    #[arg(long)]
    pub all_errors: bool,
}

/// Reads the scheme of external ids.
fn scheme(text: &str) -> Result<String, String> {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    match text.len() <= MAX_SCHEME_CHARS && text.split(['-', '.', '_']).all(is_part) {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("not a scheme: at most {MAX_SCHEME_CHARS} lower-case letters and digits, such as wikidata"))
        }
    }
}

/// The rule that matches the participants of imported stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ParticipantRule {
    None,
    Exact,
    Settled,
}

/// The rule that finds the meetings of imported reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MeetingRule {
    None,
    Same,
}

/// The format of the messages of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoryFormat {
    /// Stories in ProtoJSON, or an export
    Story,
    /// Annotated documents of LangExtract
    Langextract,
    /// Answers with quotes, as models of Instructor have them
    Instructor,
    /// Messages with citations of Anthropic's API
    Citations,
    /// Web Annotations of the W3C
    WebAnnotations,
}

/// The unit of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OffsetUnit {
    /// Code points of Unicode, as in Python
    CodePoint,
    /// Code units of UTF-16, as in JavaScript and Java
    Utf16,
    /// Bytes of UTF-8, as in Go and Rust
    Byte,
}
