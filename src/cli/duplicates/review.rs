//! Shows one pair at a time on a terminal, and judges it by a key.

use std::{collections::VecDeque, process::ExitCode};

use anyhow::Result;

use super::{
    current,
    pages::Pages,
    terminal::{Event, ReviewKey, Terminal},
    words,
};
use crate::{
    cli::{Clients, client::Connector, console::Console, escape, retry},
    config,
    pb::{Judgement, judgement::Verdict, list_duplicates_response::Duplicate},
};

const PROMPT: &str = "same (s), different (d), skip (n), undo (u), quit (q)? ";
const LAST_PROMPT: &str = "no more pairs: undo (u), quit (q)? ";

/// Reviews the pairs that match the filter, until all are shown or the user ends it.
///
/// # Errors
/// If the service cannot be reached or refuses the calls, or the terminal is gone.
pub async fn run(args: &config::Duplicates) -> Result<ExitCode> {
    let clients = Clients::connect(&Connector::new(&args.server)?, &Console::new()).await?;
    let mut review = Review {
        clients: &clients,
        reason: &args.reason,
        pages: Pages::new(&clients, &args.filter),
        queue: VecDeque::new(),
        judged: Vec::new(),
        lasting: 0,
        terminal: Terminal::open()?,
    };
    let outcome = review.run().await;
    let Review { terminal, judged, lasting, .. } = review;
    let ended = terminal.print(&format!("\n{} judged\n", judged.len() + lasting));
    // The former mode, before an error is printed.
    drop(terminal);
    if let Err(Stop::Failed(error)) = outcome {
        return Err(error);
    }
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// The end of a review.
enum Stop {
    /// The user ends it.
    Quit,
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A review.
struct Review<'a> {
    clients: &'a Clients,
    reason: &'a str,
    pages: Pages<'a>,
    /// The pairs that were read and not shown, and those whose judgement was undone.
    queue: VecDeque<Duplicate>,
    /// The judgements of this review that can be undone, in their order.
    judged: Vec<(Duplicate, Judgement)>,
    /// The number of those that could not be undone.
    lasting: usize,
    terminal: Terminal,
}

impl Review<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        loop {
            let Some(pair) = self.next().await? else {
                if self.judged.is_empty() {
                    self.terminal.print("no more pairs")?;
                    return Ok(());
                }
                match self.key(LAST_PROMPT, "").await? {
                    ReviewKey::Undo => {
                        self.terminal.print("undo\n")?;
                        self.undo().await?;
                    }
                    _ => self.terminal.print("\n")?,
                }
                continue;
            };
            if let Some(reason) = self.closed(&pair).await? {
                let (participant, other) = names(&pair);
                self.say(&format!("{participant} and {other} are passed over: {reason}"))?;
                continue;
            }
            match self.answer(&pair).await? {
                ReviewKey::Same => self.judge(pair, Verdict::Same).await?,
                ReviewKey::Different => self.judge(pair, Verdict::Different).await?,
                ReviewKey::Undo => {
                    self.queue.push_front(pair);
                    self.undo().await?;
                }
                _ => {}
            }
        }
    }

    /// Returns the next pair to show.
    async fn next(&mut self) -> Result<Option<Duplicate>, Stop> {
        while self.queue.is_empty() {
            let page = self.terminal.unless_ended(self.pages.next()).await?.ok_or(Stop::Quit)?;
            match page? {
                Some(page) => self.queue.extend(page),
                None => return Ok(None),
            }
        }
        Ok(self.queue.pop_front())
    }

    /// Shows a pair and returns the key that answers it.
    async fn answer(&mut self, pair: &Duplicate) -> Result<ReviewKey, Stop> {
        let description = format!("\n{}", words::describe(pair));
        loop {
            let (key, word) = match self.key(PROMPT, &description).await? {
                ReviewKey::Other => (None, ""),
                ReviewKey::Undo if self.judged.is_empty() => (None, "nothing to undo"),
                ReviewKey::Same => (Some(ReviewKey::Same), "same"),
                ReviewKey::Different => (Some(ReviewKey::Different), "different"),
                ReviewKey::Undo => (Some(ReviewKey::Undo), "undo"),
                key => (Some(key), "skip"),
            };
            self.terminal.print(&format!("{word}\n"))?;
            if let Some(key) = key {
                return Ok(key);
            }
        }
    }

    /// Shows a description and a prompt, and returns the next key. Keys that were typed before the description was shown
    /// do not count. From the prompt on, each key counts.
    async fn key(&mut self, prompt: &str, description: &str) -> Result<ReviewKey, Stop> {
        loop {
            self.terminal.print(description)?;
            self.terminal.discard_typed()?;
            self.terminal.print(prompt)?;
            match self.terminal.event().await? {
                Event::Key(ReviewKey::Quit) | Event::End => return Err(Stop::Quit),
                Event::Key(key) => return Ok(key),
                Event::Resumed => self.terminal.print("\n")?,
            }
        }
    }

    /// The reason why a pair is not judged any more, if there is one.
    async fn closed(&mut self, pair: &Duplicate) -> Result<Option<String>, Stop> {
        let (participant, other) = names(pair);
        let closed = current::closed(self.clients, participant, other);
        Ok(self.terminal.unless_ended(closed).await?.ok_or(Stop::Quit)??)
    }

    /// Judges a pair, unless it has been judged, settled or deleted since it was shown.
    async fn judge(&mut self, pair: Duplicate, verdict: Verdict) -> Result<(), Stop> {
        if let Some(reason) = self.closed(&pair).await? {
            return self.say(&format!("not judged: {reason}"));
        }
        let (participant, other) = names(&pair);
        match self.store(participant, other, verdict).await? {
            Ok(judgement) => self.judged.push((pair, judgement)),
            Err(reason) => self.say(&format!("not judged: {reason}"))?,
        }
        Ok(())
    }

    /// Takes the last judgement of this review back, and shows its pair again.
    async fn undo(&mut self) -> Result<(), Stop> {
        // It counts until it is withdrawn, also if the review ends meanwhile.
        let Some((pair, judgement)) = self.judged.last().cloned() else { return Ok(()) };
        let (participant, other) = names(&pair);
        let stored = current::judgement(self.clients, participant, other);
        let stored = self.terminal.unless_ended(stored).await?.ok_or(Stop::Quit)??;
        let undone = match stored == Some(judgement) {
            true => self.store(participant, other, Verdict::Withdrawn).await?.map(drop),
            false => Err("the judgement has been changed since".to_owned()),
        };
        self.judged.pop();
        match undone {
            Ok(()) => self.queue.push_front(pair),
            Err(reason) => {
                self.lasting += 1;
                self.say(&format!("not undone: {reason}"))?;
            }
        }
        Ok(())
    }

    /// Stores a judgement and returns it, or the reason why the service refuses it.
    async fn store(
        &mut self,
        participant: &str,
        other: &str,
        verdict: Verdict,
    ) -> Result<Result<Judgement, String>, Stop> {
        let request = current::request(participant, other, verdict, self.reason);
        let call = current::judge(self.clients, &request);
        match self.terminal.unless_ended(call).await? {
            Some(Ok(answer)) => Ok(Ok(answer.judgement.unwrap_or_default())),
            Some(Err(status)) if retry::is_fatal(&status) => Err(retry::given_up(status).into()),
            Some(Err(status)) => Ok(Err(retry::describe(&status))),
            None => {
                self.say(&format!("interrupted: {} may have been stored", verdict.as_str_name()))?;
                Err(Stop::Quit)
            }
        }
    }

    fn say(&self, line: &str) -> Result<(), Stop> {
        Ok(self.terminal.print(&format!("{}\n", escape::text(line)))?)
    }
}

/// The names of the two participants.
fn names(pair: &Duplicate) -> (&str, &str) {
    let (participant, other) = (pair.participant.as_ref(), pair.other.as_ref());
    (participant.map_or("", |of| of.name.as_str()), other.map_or("", |of| of.name.as_str()))
}
