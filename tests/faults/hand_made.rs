//! The validator: a history in which all is well, and what each promise looks like when it is not kept.

use super::{
    history::{Answer, HandOff, History, Message, Session, Start, Told, Watcher, Write},
    validator::{Promise, validate},
};

/// A change of the write `request_id`, at a position.
fn told(position: i64, request_id: &str, last: bool) -> Told {
    Told {
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

/// Five writes, of which the one at 5 and 6 was never answered; one watcher with a break, one with a heartbeat, and one
/// who is told of meetings only.
fn good() -> History {
    let table = vec![
        told(1, "a", true),
        told(2, "b", false),
        told(3, "b", true),
        told(4, "c", true),
        told(5, "d", false),
        told(6, "d", true),
        told(7, "e", true),
        told(8, "f", true),
    ];
    let changes = |positions: std::ops::RangeInclusive<usize>| {
        table[positions.start() - 1..*positions.end()].iter().cloned().map(Message::Change).collect::<Vec<_>>()
    };
    let meetings = [Message::Change(table[1].clone()), Message::Heartbeat(3), Message::Change(table[3].clone())];
    let meetings = meetings.into_iter().chain([Message::Heartbeat(5), Message::Change(table[5].clone())]);
    let watchers = vec![
        Watcher {
            sessions: vec![session(Start::After(0), changes(1..=3)), session(Start::After(3), changes(4..=8))],
            to_the_end: true,
            ..Watcher::default()
        },
        Watcher {
            sessions: vec![session(
                Start::After(0),
                [changes(1..=4), vec![Message::Heartbeat(4)], changes(5..=8), vec![Message::Heartbeat(8)]].concat(),
            )],
            to_the_end: true,
            ..Watcher::default()
        },
        Watcher { collection: "meetings", sessions: vec![session(Start::After(0), meetings)], to_the_end: false },
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
    // Listed as of 4, when 5 and 6 had just come too.
    let hand_offs = vec![HandOff { as_of: 4, listed: records(6) }];
    History { records: records(8), writes, watchers, hand_offs, table, floor: 0 }
}

impl History {
    fn messages(&mut self, watcher: usize, session: usize) -> &mut Vec<Message> {
        &mut self.watchers[watcher].sessions[session].messages
    }

    fn alter(&mut self, position: usize, alter: impl Fn(&mut Told)) {
        alter(&mut self.table[position - 1]);
        for message in self.watchers.iter_mut().flat_map(|one| &mut one.sessions).flat_map(|one| &mut one.messages) {
            if let Message::Change(told) = message
                && told.position == position as i64
            {
                alter(told);
            }
        }
    }
}

#[test]
fn a_history_in_which_all_is_well_passes() {
    assert_eq!(validate(&good()), []);
}

#[test]
fn what_is_no_longer_kept_may_be_missed_by_those_who_were_told_so() {
    let mut history = good();
    history.floor = 3;
    history.table.drain(..3);
    history.watchers[0].sessions = vec![history.watchers[0].sessions[1].clone()];
    history.watchers[0].sessions[0].start = Start::Oldest;
    assert_eq!(validate(&history), []);
    history.floor = 2;
    history.table.insert(0, told(3, "b", true));
    assert_eq!(promises(&history), [Promise::Resumable]);
}

#[test]
fn what_was_dropped_before_anybody_was_told_is_missed_only_with_notice() {
    let mut history = good();
    history.floor = 3;
    history.table.drain(..3);
    history.hand_offs.clear();
    history.watchers.drain(1..);
    let rest = history.messages(0, 1).split_off(1);
    // 4 is the last before the break; 1 to 3 are what they came too late for.
    history.watchers[0].sessions = vec![session(Start::Oldest, [Message::Change(told(4, "c", true))])];
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

/// Breaks a good history in one way.
type Break = fn(&mut History);

#[test]
fn each_broken_promise_is_named() {
    let breaks: &[(Promise, &str, Break)] = &[
        (Promise::Ordered, "told in the wrong order", |history| history.messages(0, 1).swap(1, 2)),
        (Promise::Ordered, "time goes back", |history| history.alter(7, |told| told.time = 0)),
        (Promise::Unique, "told twice", |history| {
            let again = history.messages(0, 1)[1].clone();
            history.messages(0, 1).insert(2, again);
        }),
        (Promise::Unique, "a revision twice", |history| {
            history.alter(7, |told| told.name = "participants/5".to_owned());
            history.records.remove("participants/7");
            history.hand_offs.clear();
        }),
        (Promise::Reliable, "left out", |history| drop(history.messages(0, 1).remove(2))),
        (Promise::Reliable, "the end left out", |history| drop(history.messages(0, 1).pop())),
        (Promise::Atomic, "interrupted", |history| {
            history.alter(4, |told| told.request_id = "d".to_owned());
            history.alter(4, |told| told.last = false);
            history.alter(5, |told| told.request_id = "c".to_owned());
            history.alter(5, |told| told.last = true);
            history.writes.retain(|write| write.request_id != "c");
        }),
        (Promise::Atomic, "not marked", |history| history.alter(8, |told| told.last = false)),
        (Promise::Resumable, "one too late", |history| drop(history.messages(0, 1).remove(0))),
        (Promise::Resumable, "one too early", |history| {
            let again = history.messages(0, 0)[2].clone();
            history.messages(0, 1).insert(0, again);
        }),
        (Promise::Bookmarkable, "a heartbeat before what was told", |history| {
            history.messages(1, 0)[4] = Message::Heartbeat(3);
        }),
        (Promise::Bookmarkable, "a heartbeat after what was not told yet", |history| {
            history.messages(1, 0)[4] = Message::Heartbeat(5);
        }),
        (Promise::Bookmarkable, "a heartbeat after what is never told", |history| {
            history.messages(2, 0).remove(2);
        }),
        (Promise::Dense, "a hole", |history| {
            history.table.remove(6);
            history.writes.retain(|write| write.request_id != "e");
            history.records.remove("participants/7");
            history.messages(0, 1).remove(3);
            history.messages(1, 0).remove(7);
        }),
        (Promise::Dense, "no beginning", |history| {
            history.table.remove(0);
            history.writes.retain(|write| write.request_id != "a");
            history.messages(0, 0).remove(0);
            history.messages(1, 0).remove(0);
        }),
        (Promise::Agreed, "two are told different things", |history| {
            let Message::Change(told) = &mut history.messages(1, 0)[2] else { panic!("a change") };
            told.revision = 2;
        }),
        (Promise::Agreed, "told what is not there", |history| {
            history.table.pop();
            history.records.remove("meetings/8");
        }),
        (Promise::Acknowledged, "lost", |history| history.writes[6].answer = Answer::At(9)),
        (Promise::Acknowledged, "lost, answered the second time", |history| history.writes[6].answer = Answer::By(9)),
        (Promise::Acknowledged, "elsewhere", |history| history.writes[4].answer = Answer::At(8)),
        (Promise::Acknowledged, "later than answered", |history| history.writes[2].answer = Answer::By(3)),
        (Promise::Acknowledged, "twice", |history| history.alter(8, |told| told.request_id = "e".to_owned())),
        (Promise::Acknowledged, "twice, and never acknowledged", |history| {
            history.alter(8, |told| told.request_id = "d".to_owned());
        }),
        (Promise::Acknowledged, "refused and there", |history| history.writes[5].answer = Answer::Refused),
        (Promise::Acknowledged, "another record", |history| history.writes[0].names.push("meetings/2".to_owned())),
        (Promise::HandedOff, "not listed and not told", |history| {
            history.hand_offs[0].listed.remove("participants/3");
        }),
        (Promise::HandedOff, "an old revision", |history| {
            history.records.insert("participants/3".to_owned(), 2);
        }),
        (Promise::HandedOff, "listed and never there", |history| {
            history.hand_offs[0].listed.insert("meetings/80".to_owned(), 1);
        }),
    ];
    for (promise, what, alter) in breaks {
        let mut history = good();
        alter(&mut history);
        let found = validate(&history);
        assert_eq!(promises(&history), [*promise], "{what}: {found:?}");
        assert!(found[0].to_string().contains(&format!("{promise:?}")), "{}", found[0]);
    }
}
