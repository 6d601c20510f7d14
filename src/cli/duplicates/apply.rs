//! Judges the pairs of a file, one after another in their order.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use tonic::Status;

use super::{current, line};
use crate::{
    cli::{
        Clients,
        client::Connector,
        console::Console,
        import::{
            fault::Fault,
            fault_report::FaultReport,
            reader::{self, Location, Reader},
        },
        is_broken_pipe, json, retry,
    },
    config::{self, Output},
    pb::{ErrorReason, JudgeParticipantsRequest, Judgement, judgement::Verdict},
};

const REQUEST: &str = "readout.v1.JudgeParticipantsRequest";

/// Judges the pairs of a file, or with `--dry-run` checks if that would succeed.
///
/// # Errors
/// If the file cannot be read, or the service cannot be reached or refuses every call.
pub async fn run(file: &Path, args: &config::Duplicates) -> Result<ExitCode> {
    reader::check(file).with_context(|| format!("cannot read {}", file.display()))?;
    let console = Console::counting("judgements");
    let clients = Clients::connect(&Connector::new(&args.server)?, &console).await?;
    let objects = Reader::open(file, &console).with_context(|| format!("cannot read {}", file.display()))?;
    let faults = FaultReport::new(args.all_errors);
    let mut file =
        JudgementFile { clients: &clients, args, console, faults, totals: Totals::default(), earlier: HashMap::new() };
    let outcome = file.apply(objects).await;
    let printed = file.print_totals();
    outcome?;
    match printed {
        Ok(()) if file.totals.failed == 0 => Ok(ExitCode::SUCCESS),
        Err(error) if !is_broken_pipe(&error) => Err(error),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// The totals. The help text of `duplicates` defines each number.
#[derive(Debug, Default)]
struct Totals {
    judged: u64,
    unchanged: u64,
    failed: u64,
}

/// An accepted judgement, which the later objects of the file must not contradict.
struct Earlier {
    location: Location,
    verdict: Verdict,
    /// The reason that is stored.
    reason: String,
}

/// A file that is being applied.
struct JudgementFile<'a> {
    clients: &'a Clients,
    args: &'a config::Duplicates,
    console: Console,
    faults: FaultReport,
    totals: Totals,
    /// The first accepted judgement on each pair. A file with two would change the pair each time that it is applied.
    earlier: HashMap<(String, String), Earlier>,
}

/// An accepted judgement.
struct Accepted {
    /// False if nothing changed.
    is_stored: bool,
    /// The reason that is stored.
    reason: String,
}

impl JudgementFile<'_> {
    async fn apply(&mut self, mut objects: Reader) -> Result<()> {
        while let Some(object) = objects.next().await {
            let location = object.location.clone();
            let parsed = object.text.and_then(|text| line::parse(&text).map_err(|error| Fault::from_mismatch(&error)));
            let judged = match parsed {
                Ok(judgement) => self.judge_once(&location, &judgement).await?,
                Err(fault) => Err(fault),
            };
            self.console.count();
            match judged {
                Ok(true) => self.totals.judged += 1,
                Ok(false) => self.totals.unchanged += 1,
                Err(fault) => {
                    self.totals.failed += 1;
                    if let Some(line) = self.faults.add(&location, &fault) {
                        self.console.say(&line);
                    }
                }
            }
        }
        Ok(())
    }

    /// Judges a pair, unless an earlier object of the file has judged it. A dry run stores none of them, so the file is
    /// compared with itself here. Returns `true` if a judgement was stored.
    ///
    /// # Errors
    /// If every other call would fail, too. The inner error is that of this judgement.
    async fn judge_once(&mut self, location: &Location, judgement: &Judgement) -> Result<Result<bool, Fault>> {
        let (first, second) = current::in_order(&judgement.participant, &judgement.other);
        let pair = (first.to_owned(), second.to_owned());
        let verdict = judgement.verdict();
        if let Some(earlier) = self.earlier.get(&pair).filter(|_| verdict != Verdict::Unspecified) {
            return Ok(match contradiction(earlier, judgement) {
                Some(fault) => Err(fault),
                None => Ok(false),
            });
        }
        Ok(self.judge(judgement).await?.map(|Accepted { is_stored, reason }| {
            self.earlier.insert(pair, Earlier { location: location.clone(), verdict, reason });
            is_stored
        }))
    }

    async fn judge(&self, judgement: &Judgement) -> Result<Result<Accepted, Fault>> {
        let Judgement { participant, other, .. } = judgement;
        let mut request = current::request(participant, other, judgement.verdict(), self.reason(judgement));
        request.validate_only = self.args.dry_run;
        match self.store(judgement, &request).await {
            Ok(accepted) => Ok(Ok(accepted)),
            Err(status) if retry::is_fatal(&status) => Err(retry::given_up(status)),
            Err(status) => {
                let value = |path: &str| json::at_path(REQUEST, &request, path);
                Ok(Err(Fault::from_status(&status, value).about(subject(judgement))))
            }
        }
    }

    async fn store(&self, judgement: &Judgement, request: &JudgeParticipantsRequest) -> Result<Accepted, Status> {
        // A repeated file must not replace reasons, which are part of the record.
        let stored = current::judgement(self.clients, &judgement.participant, &judgement.other).await?;
        let is_equal = |stored: &Judgement| {
            stored.verdict() == judgement.verdict()
                && (judgement.reason.is_empty() || stored.reason == judgement.reason)
        };
        if let Some(stored) = stored.filter(is_equal) {
            return Ok(Accepted { is_stored: false, reason: stored.reason });
        }
        let accepted = |is_stored| Ok(Accepted { is_stored, reason: request.reason.clone() });
        match current::judge(self.clients, request).await {
            Ok(_) => accepted(true),
            Err(status) if retry::reason(&status) == ErrorReason::NotJudged.as_str_name() => accepted(false),
            Err(status) => Err(status),
        }
    }

    fn reason<'a>(&'a self, judgement: &'a Judgement) -> &'a str {
        if judgement.reason.is_empty() { &self.args.reason } else { &judgement.reason }
    }

    fn print_totals(&self) -> Result<()> {
        self.console.finish();
        for line in self.faults.summary() {
            self.console.say(&line);
        }
        let Totals { judged, unchanged, failed } = self.totals;
        let note = if self.args.dry_run { " (dry run: nothing is written)" } else { "" };
        match self.args.output {
            Output::Text => self.console.say(&format!("{judged} judged, {unchanged} unchanged, {failed} failed{note}")),
            Output::Json => {
                writeln!(io::stdout(), r#"{{"judged":{judged},"unchanged":{unchanged},"failed":{failed}}}"#)?;
            }
        }
        Ok(())
    }
}

/// The fault of a judgement on a pair that the file has judged otherwise. `None` if the two agree.
fn contradiction(earlier: &Earlier, judgement: &Judgement) -> Option<Fault> {
    let verdict = judgement.verdict();
    let has_other_reason = !judgement.reason.is_empty() && judgement.reason != earlier.reason;
    let difference = if verdict != earlier.verdict {
        format!("with another verdict: {} there, {} here", earlier.verdict.as_str_name(), verdict.as_str_name())
    } else if verdict != Verdict::Withdrawn && has_other_reason {
        "with another reason".to_owned()
    } else {
        return None;
    };
    let problem = format!("line {} judges the pair already, {difference}", earlier.location.line);
    Some(Fault::new("a second judgement on a pair", problem).about(subject(judgement)))
}

/// The names before the description of a fault.
fn subject(judgement: &Judgement) -> String {
    match (judgement.participant.as_str(), judgement.other.as_str()) {
        ("", other) => other.to_owned(),
        (participant, "") => participant.to_owned(),
        (participant, other) => format!("{participant}, {other}"),
    }
}
