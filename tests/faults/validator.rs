//! Checks the promises of the feed on a recorded history.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::RangeInclusive,
};

use super::history::{Answer, HandOff, History, Message, RecordedChange, Start, Watcher, Write};

/// A promise of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Later changes have higher positions, and are sent later.
    Ordered,
    /// No change is sent twice.
    Unique,
    /// Every change is sent.
    Reliable,
    /// The changes of a write are adjacent, and the last one is marked.
    Atomic,
    /// A call continues right after its start cursor.
    Resumable,
    /// The cursor of a heartbeat is after all changes sent before it, and before all sent after it.
    Bookmarkable,
    /// No position is skipped.
    Dense,
    /// All watchers receive the same changes, and these are in the database.
    Agreed,
    /// An acknowledged write is in the feed once, at its position; any other write at most once.
    Acknowledged,
    /// A list and the changes after it give the final records.
    HandedOff,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub promise: Promise,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, what } = self;
        write!(f, "not {promise:?}: {what}")
    }
}

type Log<'a> = BTreeMap<i64, &'a RecordedChange>;

/// Returns all violations of a history.
pub fn validate(history: &History) -> Vec<Violation> {
    let mut violations = Violations::default();
    let log = check_agreed(history, &mut violations);
    // Changes that were dropped before any watcher received them cannot be checked.
    let unseen: BTreeSet<i64> = (1..=history.floor).filter(|position| !log.contains_key(position)).collect();
    check_log(&log, &unseen, &mut violations);
    check_atomic(&log, &unseen, &mut violations);
    let head = log.keys().next_back().copied().unwrap_or(history.floor);
    for (number, watcher) in history.watchers.iter().enumerate() {
        WatcherCheck::new(number, &log, history.floor).check(watcher, head, &unseen, &mut violations);
    }
    check_acknowledged(&history.writes, &log, &unseen, &mut violations);
    let is_seen = |hand_off: &&HandOff| unseen.range(hand_off.as_of + 1..).next().is_none();
    for hand_off in history.hand_offs.iter().filter(is_seen) {
        check_handed_off(hand_off, &history.records, &log, &mut violations);
    }
    violations.0
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, promise: Promise, what: String) {
        self.0.push(Violation { promise, what });
    }
}

/// Merges the table and the changes of all watchers, which must agree. Dropped changes are known only from watchers.
fn check_agreed<'a>(history: &'a History, violations: &mut Violations) -> Log<'a> {
    let mut log = Log::new();
    for change in &history.table {
        if let Some(other) = log.insert(change.position, change) {
            violations.add(Promise::Unique, format!("the table has {other:?} and {change:?}"));
        }
    }
    for (number, watcher) in history.watchers.iter().enumerate() {
        for message in watcher.sessions.iter().flat_map(|session| &session.messages) {
            let Message::Change(change) = message else { continue };
            match log.get(&change.position) {
                Some(other) if *other == change => {}
                Some(other) => {
                    violations.add(Promise::Agreed, format!("watcher {number} received {change:?}, not {other:?}"));
                }
                None if change.position > history.floor => {
                    violations
                        .add(Promise::Agreed, format!("watcher {number} received {change:?}, which the table lacks"));
                }
                None => {
                    log.insert(change.position, change);
                }
            }
        }
    }
    log
}

/// Positions are dense, times do not decrease, and every revision has one position.
fn check_log(log: &Log, unseen: &BTreeSet<i64>, violations: &mut Violations) {
    let mut positions: HashMap<(&str, i64), i64> = HashMap::new();
    for (before, change) in log.values().zip(log.values().skip(1)) {
        if change.position != before.position + 1 && !unseen.contains(&(change.position - 1)) {
            violations.add(Promise::Dense, format!("nothing between {} and {}", before.position, change.position));
        }
        if change.time < before.time {
            violations.add(Promise::Ordered, format!("{} is earlier than {}", change.position, before.position));
        }
    }
    if let Some(first) = log.keys().next().filter(|first| **first != 1 && !unseen.contains(&(**first - 1))) {
        violations.add(Promise::Dense, format!("nothing before {first}"));
    }
    for change in log.values() {
        if let Some(before) = positions.insert((&change.name, change.revision), change.position) {
            let what = format!("{} and {before} are both {} {}", change.position, change.name, change.revision);
            violations.add(Promise::Unique, what);
        }
    }
}

fn check_atomic(log: &Log, unseen: &BTreeSet<i64>, violations: &mut Violations) {
    for (change, next) in log.values().zip(log.values().skip(1)) {
        let (position, write) = (change.position, &change.request_id);
        if !change.last && *write != next.request_id && !unseen.contains(&(position + 1)) {
            violations.add(Promise::Atomic, format!("write {write:?} is interrupted after {position}"));
        }
    }
    if let Some(change) = log.values().next_back().filter(|change| !change.last) {
        violations.add(Promise::Atomic, format!("write {:?} ends unmarked at {}", change.request_id, change.position));
    }
}

/// Checks the messages of one watcher in order.
struct WatcherCheck<'a> {
    number: usize,
    log: &'a Log<'a>,
    floor: i64,
    /// The current position of the watcher.
    place: i64,
    received: BTreeSet<i64>,
    /// Skipped positions, and the promise that this breaks.
    gaps: Vec<(RangeInclusive<i64>, Promise)>,
    /// Positions that the service reported as expired.
    excused: Vec<RangeInclusive<i64>>,
}

impl<'a> WatcherCheck<'a> {
    fn new(number: usize, log: &'a Log<'a>, floor: i64) -> Self {
        Self { number, log, floor, place: 0, received: BTreeSet::new(), gaps: Vec::new(), excused: Vec::new() }
    }

    fn check(mut self, watcher: &Watcher, head: i64, unseen: &BTreeSet<i64>, violations: &mut Violations) {
        let mut begin = None;
        for session in &watcher.sessions {
            self.begin(session.start, session.messages.first(), violations);
            begin = begin.or(Some(self.place));
            let mut is_first = true;
            for message in &session.messages {
                match message {
                    Message::Change(change) => self.change(change, is_first, violations),
                    Message::Heartbeat(position) => self.heartbeat(*position, violations),
                }
                is_first = false;
            }
        }
        let end = if watcher.reads_to_end { head } else { self.place };
        let Some(begin) = begin.filter(|begin| *begin < end) else { return };
        let number = self.number;
        for (position, change) in self.log.range(begin + 1..=end) {
            match self.received.contains(position) {
                true if !watcher.includes(change) => {
                    violations.add(Promise::Reliable, format!("watcher {number} does not subscribe to {position}"));
                }
                false if watcher.includes(change) => self.missed(*position, violations),
                _ => {}
            }
        }
        if watcher.collection.is_empty() {
            unseen.range(begin + 1..=end).for_each(|position| self.missed(*position, violations));
        }
    }

    fn missed(&self, position: i64, violations: &mut Violations) {
        if !self.excused.iter().any(|range| range.contains(&position)) {
            let gap = self.gaps.iter().find(|(range, _)| range.contains(&position));
            let promise = gap.map_or(Promise::Reliable, |(_, promise)| *promise);
            violations.add(promise, format!("watcher {} never received {position}", self.number));
        }
    }

    fn begin(&mut self, start: Start, first: Option<&Message>, violations: &mut Violations) {
        match (start, first) {
            (Start::After(place), _) => self.place = place,
            (Start::Oldest, None) => {}
            (Start::Oldest, Some(Message::Change(RecordedChange { position, .. }) | Message::Heartbeat(position))) => {
                let place = (position - 1).min(self.floor);
                if place < self.place {
                    let what = format!("watcher {} lost nothing before {position}", self.number);
                    violations.add(Promise::Resumable, what);
                }
                self.excused.push(self.place + 1..=place);
                self.place = place;
            }
        }
    }

    fn change(&mut self, change: &RecordedChange, is_first: bool, violations: &mut Violations) {
        let position = change.position;
        if position <= self.place {
            let bookmarked = |(range, promise): &(RangeInclusive<i64>, Promise)| {
                *promise == Promise::Bookmarkable && range.contains(&position)
            };
            let promise = match () {
                () if is_first => Promise::Resumable,
                () if self.received.contains(&position) => Promise::Unique,
                () if self.gaps.iter().any(bookmarked) => Promise::Bookmarkable,
                () => Promise::Ordered,
            };
            violations.add(promise, format!("watcher {} received {position} after {}", self.number, self.place));
        } else {
            if is_first {
                self.gaps.push((self.place + 1..=position - 1, Promise::Resumable));
            }
            self.place = position;
        }
        self.received.insert(position);
    }

    fn heartbeat(&mut self, position: i64, violations: &mut Violations) {
        if position < self.place {
            let what = format!("watcher {} was after {} and got a heartbeat at {position}", self.number, self.place);
            violations.add(Promise::Bookmarkable, what);
        } else {
            self.gaps.push((self.place + 1..=position, Promise::Bookmarkable));
            self.place = position;
        }
    }
}

fn check_acknowledged(writes: &[Write], log: &Log, unseen: &BTreeSet<i64>, violations: &mut Violations) {
    let mut written: HashMap<&str, (Vec<i64>, BTreeSet<&str>)> = HashMap::new();
    for change in log.values() {
        let (ends, names) = written.entry(&change.request_id).or_default();
        ends.extend(change.last.then_some(change.position));
        names.insert(&change.name);
    }
    for Write { request_id, answer, names } in writes {
        let nothing = (Vec::new(), BTreeSet::new());
        let (ends, written) = written.get(request_id.as_str()).unwrap_or(&nothing);
        let is_kept = match (*answer, ends.as_slice()) {
            (Answer::At(position), [end]) => position == *end,
            (Answer::By(position), [end]) => position >= *end,
            (Answer::At(position), []) => unseen.contains(&position),
            (Answer::By(position), []) => unseen.range(..=position).next().is_some(),
            (Answer::At(_) | Answer::By(_), _) => false,
            (Answer::Unknown, ends) => ends.len() <= 1,
            (Answer::Refused, ends) => ends.is_empty(),
        };
        if !is_kept {
            let what = format!("write {request_id:?} was answered {answer:?} and is at {ends:?}");
            violations.add(Promise::Acknowledged, what);
        } else if let (Some(end), Some(name)) =
            (ends.first(), names.iter().find(|name| !written.contains(name.as_str())))
            && unseen.range(end - names.len() as i64..=*end).next().is_none()
        {
            let what = format!("write {request_id:?} was answered {name}, which it did not write");
            violations.add(Promise::Acknowledged, what);
        }
    }
}

fn check_handed_off(hand_off: &HandOff, records: &BTreeMap<String, i64>, log: &Log, violations: &mut Violations) {
    let as_of = hand_off.as_of;
    let mut revisions = hand_off.listed.clone();
    for (_, change) in log.range(as_of + 1..).filter(|(_, change)| !change.name.starts_with("reports/")) {
        let revision = revisions.entry(change.name.clone()).or_default();
        *revision = change.revision.max(*revision);
    }
    for name in revisions.keys().chain(records.keys()).collect::<BTreeSet<_>>() {
        let (derived, actual) = (revisions.get(name), records.get(name));
        if derived != actual {
            let what = format!("listed as of {as_of}, {name} would be at {derived:?} and is at {actual:?}");
            violations.add(Promise::HandedOff, what);
        }
    }
}
