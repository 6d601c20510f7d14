//! What the feed promises, checked on a recorded history.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::RangeInclusive,
};

use super::history::{Answer, HandOff, History, Message, Start, Told, Watcher, Write};

/// What the feed promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Later changes have higher positions, and are told later.
    Ordered,
    /// No change is told twice.
    Unique,
    /// Every change is told.
    Reliable,
    /// The changes of a write stand together, and the last is marked.
    Atomic,
    /// A call goes on right after the cursor that it begins with.
    Resumable,
    /// A heartbeat's cursor is after all that was told, and before all that was not.
    Bookmarkable,
    /// No position is left out.
    Dense,
    /// All who watch are told the same, and it is what the database has.
    Agreed,
    /// An acknowledged write is there once, at its position; any other at most once.
    Acknowledged,
    /// What was listed, and the changes after it, make what there is.
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

type Log<'a> = BTreeMap<i64, &'a Told>;

/// All that is wrong with a history.
pub fn validate(history: &History) -> Vec<Violation> {
    let mut found = Found::default();
    let log = agreed(history, &mut found);
    // What was dropped before anybody was told of it, nobody can vouch for.
    let unseen: BTreeSet<i64> = (1..=history.floor).filter(|position| !log.contains_key(position)).collect();
    logged(&log, &unseen, &mut found);
    atomic(&log, &unseen, &mut found);
    let head = log.keys().next_back().copied().unwrap_or(history.floor);
    for (number, watcher) in history.watchers.iter().enumerate() {
        Watched::new(number, &log, history.floor).check(watcher, head, &unseen, &mut found);
    }
    acknowledged(&history.writes, &log, &unseen, &mut found);
    let is_seen = |one: &&HandOff| unseen.range(one.as_of + 1..).next().is_none();
    history.hand_offs.iter().filter(is_seen).for_each(|one| handed_off(one, &history.records, &log, &mut found));
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn not(&mut self, promise: Promise, what: String) {
        self.0.push(Violation { promise, what });
    }
}

/// What all have been told, and the table. What was dropped from the table, those have been told who were there.
fn agreed<'a>(history: &'a History, found: &mut Found) -> Log<'a> {
    let mut log = Log::new();
    for change in &history.table {
        if let Some(other) = log.insert(change.position, change) {
            found.not(Promise::Unique, format!("the table has {other:?} and {change:?}"));
        }
    }
    for (number, watcher) in history.watchers.iter().enumerate() {
        for message in watcher.sessions.iter().flat_map(|session| &session.messages) {
            let Message::Change(told) = message else { continue };
            match log.get(&told.position) {
                Some(other) if *other == told => {}
                Some(other) => found.not(Promise::Agreed, format!("watcher {number} was told {told:?}, not {other:?}")),
                None if told.position > history.floor => {
                    found.not(Promise::Agreed, format!("watcher {number} was told {told:?}, which is not there"));
                }
                None => {
                    log.insert(told.position, told);
                }
            }
        }
    }
    log
}

/// Positions are dense, times do not decrease, and every revision has one position.
fn logged(log: &Log, unseen: &BTreeSet<i64>, found: &mut Found) {
    let mut positions: HashMap<(&str, i64), i64> = HashMap::new();
    for (before, change) in log.values().zip(log.values().skip(1)) {
        if change.position != before.position + 1 && !unseen.contains(&(change.position - 1)) {
            found.not(Promise::Dense, format!("nothing between {} and {}", before.position, change.position));
        }
        if change.time < before.time {
            found.not(Promise::Ordered, format!("{} is earlier than {}", change.position, before.position));
        }
    }
    if let Some(first) = log.keys().next().filter(|first| **first != 1 && !unseen.contains(&(**first - 1))) {
        found.not(Promise::Dense, format!("nothing before {first}"));
    }
    for change in log.values() {
        if let Some(before) = positions.insert((&change.name, change.revision), change.position) {
            let what = format!("{} and {before} are both {} {}", change.position, change.name, change.revision);
            found.not(Promise::Unique, what);
        }
    }
}

fn atomic(log: &Log, unseen: &BTreeSet<i64>, found: &mut Found) {
    for (change, next) in log.values().zip(log.values().skip(1)) {
        let (position, write) = (change.position, &change.request_id);
        if !change.last && *write != next.request_id && !unseen.contains(&(position + 1)) {
            found.not(Promise::Atomic, format!("write {write:?} is interrupted after {position}"));
        }
    }
    if let Some(change) = log.values().next_back().filter(|change| !change.last) {
        found.not(Promise::Atomic, format!("write {:?} ends unmarked at {}", change.request_id, change.position));
    }
}

/// What one watcher was told, message by message.
struct Watched<'a> {
    number: usize,
    log: &'a Log<'a>,
    floor: i64,
    /// After which change they are.
    place: i64,
    told: BTreeSet<i64>,
    /// Left out, and which promise spoke against it.
    gaps: Vec<(RangeInclusive<i64>, Promise)>,
    /// Left out with notice.
    excused: Vec<RangeInclusive<i64>>,
}

impl<'a> Watched<'a> {
    fn new(number: usize, log: &'a Log<'a>, floor: i64) -> Self {
        Self { number, log, floor, place: 0, told: BTreeSet::new(), gaps: Vec::new(), excused: Vec::new() }
    }

    fn check(mut self, watcher: &Watcher, head: i64, unseen: &BTreeSet<i64>, found: &mut Found) {
        let mut begin = None;
        for session in &watcher.sessions {
            self.begin(session.start, session.messages.first(), found);
            begin = begin.or(Some(self.place));
            let mut is_first = true;
            for message in &session.messages {
                match message {
                    Message::Change(told) => self.change(told, is_first, found),
                    Message::Heartbeat(position) => self.heartbeat(*position, found),
                }
                is_first = false;
            }
        }
        let end = if watcher.to_the_end { head } else { self.place };
        let Some(begin) = begin.filter(|begin| *begin < end) else { return };
        let number = self.number;
        for (position, change) in self.log.range(begin + 1..=end) {
            match self.told.contains(position) {
                true if !watcher.wants(change) => {
                    found.not(Promise::Reliable, format!("watcher {number} did not ask for {position}"));
                }
                false if watcher.wants(change) => self.missed(*position, found),
                _ => {}
            }
        }
        if watcher.collection.is_empty() {
            unseen.range(begin + 1..=end).for_each(|position| self.missed(*position, found));
        }
    }

    fn missed(&self, position: i64, found: &mut Found) {
        if !self.excused.iter().any(|range| range.contains(&position)) {
            let gap = self.gaps.iter().find(|(range, _)| range.contains(&position));
            let promise = gap.map_or(Promise::Reliable, |(_, promise)| *promise);
            found.not(promise, format!("watcher {} was never told {position}", self.number));
        }
    }

    fn begin(&mut self, start: Start, first: Option<&Message>, found: &mut Found) {
        match (start, first) {
            (Start::After(place), _) => self.place = place,
            (Start::Oldest, None) => {}
            (Start::Oldest, Some(Message::Change(Told { position, .. }) | Message::Heartbeat(position))) => {
                let place = (position - 1).min(self.floor);
                if place < self.place {
                    let what = format!("watcher {} lost nothing before {position}", self.number);
                    found.not(Promise::Resumable, what);
                }
                self.excused.push(self.place + 1..=place);
                self.place = place;
            }
        }
    }

    fn change(&mut self, told: &Told, is_first: bool, found: &mut Found) {
        let position = told.position;
        if position <= self.place {
            let bookmarked = |(range, promise): &(RangeInclusive<i64>, Promise)| {
                *promise == Promise::Bookmarkable && range.contains(&position)
            };
            let promise = match () {
                () if is_first => Promise::Resumable,
                () if self.told.contains(&position) => Promise::Unique,
                () if self.gaps.iter().any(bookmarked) => Promise::Bookmarkable,
                () => Promise::Ordered,
            };
            found.not(promise, format!("watcher {} was told {position} after {}", self.number, self.place));
        } else {
            if is_first {
                self.gaps.push((self.place + 1..=position - 1, Promise::Resumable));
            }
            self.place = position;
        }
        self.told.insert(position);
    }

    fn heartbeat(&mut self, position: i64, found: &mut Found) {
        if position < self.place {
            let what = format!("watcher {} was after {} and is to be after {position}", self.number, self.place);
            found.not(Promise::Bookmarkable, what);
        } else {
            self.gaps.push((self.place + 1..=position, Promise::Bookmarkable));
            self.place = position;
        }
    }
}

fn acknowledged(writes: &[Write], log: &Log, unseen: &BTreeSet<i64>, found: &mut Found) {
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
            found
                .not(Promise::Acknowledged, format!("write {request_id:?} was answered {answer:?} and is at {ends:?}"));
        } else if let (Some(end), Some(name)) =
            (ends.first(), names.iter().find(|name| !written.contains(name.as_str())))
            && unseen.range(end - names.len() as i64..=*end).next().is_none()
        {
            found.not(
                Promise::Acknowledged,
                format!("write {request_id:?} was answered {name}, which it did not write"),
            );
        }
    }
}

fn handed_off(hand_off: &HandOff, records: &BTreeMap<String, i64>, log: &Log, found: &mut Found) {
    let as_of = hand_off.as_of;
    let mut known = hand_off.listed.clone();
    for (_, change) in log.range(as_of + 1..).filter(|(_, change)| !change.name.starts_with("reports/")) {
        let revision = known.entry(change.name.clone()).or_default();
        *revision = change.revision.max(*revision);
    }
    for name in known.keys().chain(records.keys()).collect::<BTreeSet<_>>() {
        let (made, is) = (known.get(name), records.get(name));
        if made != is {
            let what = format!("listed as of {as_of}, {name} comes to {made:?} and is at {is:?}");
            found.not(Promise::HandedOff, what);
        }
    }
}
