//! The validator accepts a correct history and names each promise that a wrong history breaks.

use super::{
    history::{Answer, HandOff, History, Message, RecordedChange, Session, Start, Watcher, Write},
    validator::{Promise, validate},
};

/// A change of the write `request_id` at a position.
fn change(position: i64, request_id: &str, last: bool) -> RecordedChange {
    RecordedChange {
        position,
        name: format!("{}/{position}", if position % 2 == 0 { "meetings" } else { "participants" }),
        kind: 1,
        revision: 1,
        time: position / 3,
        request_id: request_id.to_owned(),
        last,
    }
}

fn session(start: Start, messages: impl IntoIterator<Item = Message>) -> Session {
    Session { start, messages: messages.into_iter().collect() }
}

/// Five writes, of which that at 5 and 6 was never answered. One watcher is interrupted, one gets a heartbeat, and one
/// receives changes of meetings only.
fn correct() -> History {
    let table = vec![
        change(1, "a", true),
        change(2, "b", false),
        change(3, "b", true),
        change(4, "c", true),
        change(5, "d", false),
        change(6, "d", true),
        change(7, "e", true),
        change(8, "f", true),
    ];
    let changes = |positions: std::ops::RangeInclusive<usize>| {
        table[positions.start() - 1..*positions.end()].iter().cloned().map(Message::Change).collect::<Vec<_>>()
    };
    let meetings = [Message::Change(table[1].clone()), Message::Heartbeat(3), Message::Change(table[3].clone())];
    let meetings = meetings.into_iter().chain([Message::Heartbeat(5), Message::Change(table[5].clone())]);
    let watchers = vec![
        Watcher {
            sessions: vec![session(Start::After(0), changes(1..=3)), session(Start::After(3), changes(4..=8))],
            reads_to_end: true,
            ..Watcher::default()
        },
        Watcher {
            sessions: vec![session(
                Start::After(0),
                [changes(1..=4), vec![Message::Heartbeat(4)], changes(5..=8), vec![Message::Heartbeat(8)]].concat(),
            )],
            reads_to_end: true,
            ..Watcher::default()
        },
        Watcher { collection: "meetings", sessions: vec![session(Start::After(0), meetings)], reads_to_end: false },
    ];
    let write = |request_id: &str, answer, names: &[&str]| Write {
        request_id: request_id.to_owned(),
        answer,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let writes = vec![
        write("a", Answer::At(1), &["participants/1"]),
        write("b", Answer::At(3), &["meetings/2", "participants/3"]),
        write("c", Answer::By(6), &["meetings/4"]),
        write("d", Answer::Unknown, &[]),
        write("e", Answer::At(7), &[]),
        write("f", Answer::Unknown, &[]),
        write("g", Answer::Unknown, &[]),
        write("h", Answer::Refused, &[]),
    ];
    let records = |upto: usize| table[..upto].iter().map(|change| (change.name.clone(), change.revision)).collect();
    // Listed as of 4, when 5 and 6 had just been written too.
    let hand_offs = vec![HandOff { as_of: 4, listed: records(6) }];
    History { records: records(8), writes, watchers, hand_offs, table, floor: 0 }
}

impl History {
    fn messages(&mut self, watcher: usize, session: usize) -> &mut Vec<Message> {
        &mut self.watchers[watcher].sessions[session].messages
    }

    fn alter(&mut self, position: usize, alter: impl Fn(&mut RecordedChange)) {
        alter(&mut self.table[position - 1]);
        for watcher in &mut self.watchers {
            for message in watcher.sessions.iter_mut().flat_map(|session| &mut session.messages) {
                if let Message::Change(change) = message
                    && change.position == position as i64
                {
                    alter(change);
                }
            }
        }
    }
}

#[test]
fn validator_accepts_a_correct_history() {
    assert_eq!(validate(&correct()), []);
}

#[test]
fn validator_excuses_expired_changes_after_a_notice() {
    let mut history = correct();
    history.floor = 3;
    history.table.drain(..3);
    history.watchers[0].sessions = vec![history.watchers[0].sessions[1].clone()];
    history.watchers[0].sessions[0].start = Start::Oldest;
    assert_eq!(validate(&history), []);
    history.floor = 2;
    history.table.insert(0, change(3, "b", true));
    assert_eq!(promises(&history), [Promise::Resumable]);
}

#[test]
fn validator_excuses_unseen_dropped_changes_only_after_a_notice() {
    let mut history = correct();
    history.floor = 3;
    history.table.drain(..3);
    history.hand_offs.clear();
    history.watchers.drain(1..);
    let rest = history.messages(0, 1).split_off(1);
    // 4 is the last change before the interruption; 1 to 3 had expired.
    history.watchers[0].sessions = vec![session(Start::Oldest, [Message::Change(change(4, "c", true))])];
    history.watchers[0].sessions.push(session(Start::After(4), rest));
    assert_eq!(validate(&history), []);
    history.watchers[0].sessions[0].start = Start::After(0);
    assert_eq!(promises(&history), [Promise::Resumable]);
}

fn promises(history: &History) -> Vec<Promise> {
    let mut promises: Vec<_> = validate(history).into_iter().map(|violation| violation.promise).collect();
    promises.dedup();
    promises
}

/// Breaks one promise of a correct history.
type Break = fn(&mut History);

#[test]
fn validator_names_each_broken_promise() {
    let breaks: &[(Promise, &str, Break)] = &[
        (Promise::Ordered, "changes in the wrong order", |history| history.messages(0, 1).swap(1, 2)),
        (Promise::Ordered, "decreasing time", |history| history.alter(7, |change| change.time = 0)),
        (Promise::Unique, "a change twice", |history| {
            let repeated = history.messages(0, 1)[1].clone();
            history.messages(0, 1).insert(2, repeated);
        }),
        (Promise::Unique, "a revision twice", |history| {
            history.alter(7, |change| change.name = "participants/5".to_owned());
            history.records.remove("participants/7");
            history.hand_offs.clear();
        }),
        (Promise::Reliable, "a missing change", |history| drop(history.messages(0, 1).remove(2))),
        (Promise::Reliable, "a missing end", |history| drop(history.messages(0, 1).pop())),
        (Promise::Atomic, "an interrupted write", |history| {
            history.alter(4, |change| change.request_id = "d".to_owned());
            history.alter(4, |change| change.last = false);
            history.alter(5, |change| change.request_id = "c".to_owned());
            history.alter(5, |change| change.last = true);
            history.writes.retain(|write| write.request_id != "c");
        }),
        (Promise::Atomic, "an unmarked end", |history| history.alter(8, |change| change.last = false)),
        (Promise::Resumable, "one change too late", |history| drop(history.messages(0, 1).remove(0))),
        (Promise::Resumable, "one change too early", |history| {
            let repeated = history.messages(0, 0)[2].clone();
            history.messages(0, 1).insert(0, repeated);
        }),
        (Promise::Bookmarkable, "a heartbeat before a received change", |history| {
            history.messages(1, 0)[4] = Message::Heartbeat(3);
        }),
        (Promise::Bookmarkable, "a heartbeat after a change that follows", |history| {
            history.messages(1, 0)[4] = Message::Heartbeat(5);
        }),
        (Promise::Bookmarkable, "a heartbeat after a change that never comes", |history| {
            history.messages(2, 0).remove(2);
        }),
        (Promise::Dense, "a gap", |history| {
            history.table.remove(6);
            history.writes.retain(|write| write.request_id != "e");
            history.records.remove("participants/7");
            history.messages(0, 1).remove(3);
            history.messages(1, 0).remove(7);
        }),
        (Promise::Dense, "a missing beginning", |history| {
            history.table.remove(0);
            history.writes.retain(|write| write.request_id != "a");
            history.messages(0, 0).remove(0);
            history.messages(1, 0).remove(0);
        }),
        (Promise::Agreed, "two watchers with different changes", |history| {
            let Message::Change(change) = &mut history.messages(1, 0)[2] else { panic!("a change") };
            change.revision = 2;
        }),
        (Promise::Agreed, "a change that the table does not have", |history| {
            history.table.pop();
            history.records.remove("meetings/8");
        }),
        (Promise::Acknowledged, "a lost write", |history| history.writes[6].answer = Answer::At(9)),
        (Promise::Acknowledged, "a lost write, answered on retry", |history| history.writes[6].answer = Answer::By(9)),
        (Promise::Acknowledged, "another position", |history| history.writes[4].answer = Answer::At(8)),
        (Promise::Acknowledged, "a position after the answer", |history| history.writes[2].answer = Answer::By(3)),
        (Promise::Acknowledged, "a write twice", |history| {
            history.alter(8, |change| change.request_id = "e".to_owned())
        }),
        (Promise::Acknowledged, "an unacknowledged write twice", |history| {
            history.alter(8, |change| change.request_id = "d".to_owned());
        }),
        (Promise::Acknowledged, "a refused write in the feed", |history| history.writes[5].answer = Answer::Refused),
        (Promise::Acknowledged, "another record", |history| history.writes[0].names.push("meetings/2".to_owned())),
        (Promise::HandedOff, "neither listed nor received", |history| {
            history.hand_offs[0].listed.remove("participants/3");
        }),
        (Promise::HandedOff, "an old revision", |history| {
            history.records.insert("participants/3".to_owned(), 2);
        }),
        (Promise::HandedOff, "listed without existing", |history| {
            history.hand_offs[0].listed.insert("meetings/80".to_owned(), 1);
        }),
    ];
    for (promise, what, alter) in breaks {
        let mut history = correct();
        alter(&mut history);
        let found = validate(&history);
        assert_eq!(promises(&history), [*promise], "{what}: {found:?}");
        assert!(found[0].to_string().contains(&format!("{promise:?}")), "{}", found[0]);
    }
}
