//! `readout import`: writes stories, or the records of an export, from files into a running service.
//!
//! `reader` reads messages from files (`decompress` unpacks, `framing` splits), `source` and `formats` make stories of
//! those of extractors. `stories` divides stories among streams by their `dependencies`, `lane` is one stream, `records`
//! writes the records of an export, `compare` finds differences from stored records. `tally` counts the outcome, `fault`
//! and `fault_report` describe errors, `edition` lists what a later edition of a register no longer has.

mod compare;
pub mod decompress;
mod dependencies;
mod edition;
pub mod fault;
pub(super) mod fault_report;
pub mod formats;
pub mod framing;
mod lane;
pub(super) mod reader;
mod records;
mod source;
mod stories;
mod tally;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};

use self::{
    edition::Edition,
    formats::{Articles, Converter},
    reader::Reader,
    source::StorySource,
    stories::StoryImport,
    tally::ImportSummary,
};
use super::{Clients, EXPORT_FORMAT, EXPORT_RECORD, client::Connector, console::Console, json};
use crate::{
    config::{self, StoryFormat},
    model::resource::CONTRACT_VERSION,
    pb::{self, ExportHeader, export_record::Record},
};

/// Number of concurrent records of an export per configured stream.
const RECORDS_PER_STREAM: u16 = 16;

/// Imports the files one after another.
///
/// # Errors
/// If the import cannot start or continue.
pub async fn run(args: config::Import) -> Result<ExitCode> {
    for file in &args.files {
        reader::check(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let console = Console::counting("messages");
    let clients = Clients::connect(&Connector::new(&args.server)?, &console).await?;
    let tally = Arc::new(ImportSummary::new(&console, args.all_errors));
    let mut edition = args.edition.as_deref().map(Edition::new);
    let mut outcome = import(&args, &clients, &tally, &mut edition).await;
    if let (Ok(()), Some(edition)) = (&outcome, &edition) {
        outcome = edition.print_absent(&clients).await;
    }
    let all_accepted = tally.finish(args.output);
    outcome?;
    Ok(if all_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn import(
    args: &config::Import,
    clients: &Clients,
    tally: &Arc<ImportSummary>,
    edition: &mut Option<Edition>,
) -> Result<()> {
    if args.articles.is_some() && args.format == StoryFormat::Story {
        bail!("--articles is for the formats of extractors: give one with --format");
    }
    let mut stories = StoryImport::new(clients, tally, args);
    for file in &args.files {
        if args.format != StoryFormat::Story {
            let articles = match &args.articles {
                Some(articles) => Articles::read(articles, &clients.console).await?,
                None => Articles::default(),
            };
            let messages = Reader::open(file, &clients.console);
            let messages = messages.with_context(|| format!("cannot read {}", file.display()))?;
            let converter = Converter::new(args.format, articles, args.offset_unit);
            stories.import(StorySource::converted(messages, converter), edition).await?;
            continue;
        }
        let opened = Reader::open(file, &clients.console);
        let mut messages = opened.with_context(|| format!("cannot read {}", file.display()))?;
        match messages.peek().await.and_then(|first| export_header(first.text.as_ref().ok()?)) {
            None => stories.import(StorySource::of_stories(messages), edition).await?,
            Some(ExportHeader { format, contract_version })
                if format == EXPORT_FORMAT && contract_version > CONTRACT_VERSION.into() =>
            {
                bail!("{} is an export by a newer release: import it with that release", file.display())
            }
            Some(ExportHeader { format, .. }) if format == EXPORT_FORMAT => {
                if let Some(option) = option_for_stories(args) {
                    bail!("{} is an export: {option} is for stories", file.display());
                }
                let lanes = args.concurrency * RECORDS_PER_STREAM;
                records::import(messages, clients, tally, lanes).await?;
            }
            Some(ExportHeader { format, .. }) => {
                bail!("{} is an export of format {format:?}, and only {EXPORT_FORMAT:?} can be read", file.display())
            }
        }
    }
    stories.finish().await
}

/// The first option that an export cannot be imported with.
fn option_for_stories(args: &config::Import) -> Option<&'static str> {
    let options = [
        (!args.policy.is_empty(), "--policy"),
        (args.dry_run, "--dry-run"),
        (args.allow_update, "--allow-update"),
        (args.edition.is_some(), "--edition"),
    ];
    options.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
}

/// Returns the header of an export if the message is one.
fn export_header(message: &str) -> Option<ExportHeader> {
    match json::parse::<pb::ExportRecord>(EXPORT_RECORD, message).ok()?.record? {
        Record::Header(header) => Some(header),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_header_is_read_from_a_header_only() {
        let header = r#"{"header":{"format":"readout.v1","contractVersion":5}}"#;
        let header = export_header(header).expect("a header");
        assert_eq!((header.format.as_str(), header.contract_version), ("readout.v1", 5));
        assert_eq!(export_header(r#"{"header":{}}"#), Some(ExportHeader::default()));
        for message in ["", "{}", "nonsense", r#"{"article":{"uri":"urn:x"}}"#, r#"{"reports":[]}"#] {
            assert_eq!(export_header(message), None, "{message}");
        }
    }
}
