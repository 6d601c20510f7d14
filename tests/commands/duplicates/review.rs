//! The review on a terminal.

use readout::{
    model::role::Role,
    pb::{Participant, ParticipantName, judgement::Verdict},
};
use tokio::time::Instant;

use super::{await_pairs, create_pairs, judge, judgements, names};
use crate::{
    access,
    support::{
        Service,
        data_dir::{DataDir, eventually},
        make::settled_person,
        program::Program,
        pty::Terminal,
    },
};

const PROMPT: &str = "same (s), different (d), skip (n), undo (u), quit (q)? ";

/// The verdicts that hold, with their reasons.
async fn verdicts(service: &Service) -> Vec<(Verdict, String)> {
    judgements(&service.participants).await.into_iter().map(|(_, _, verdict, reason)| (verdict, reason)).collect()
}

fn start(service: &Service) -> Terminal {
    Terminal::start(["duplicates", "--server", &service.address.to_string()])
}

#[tokio::test]
async fn keys_judge_skip_and_undo_and_the_mode_of_the_terminal_is_restored() {
    let service = Service::start().await;
    let pairs = create_pairs(&service, 3).await;
    let mut terminal =
        Terminal::start(["duplicates", "--server", &service.address.to_string(), "--reason", "seen in a test"]);
    let before = terminal.mode();
    let shown = async |terminal: &mut Terminal, at: usize| {
        let text = terminal.shows(PROMPT).await;
        let (first, second) = names(&pairs[at]);
        assert!(text.contains(first) && text.contains(second), "{text}");
        text
    };
    let text = shown(&mut terminal, 0).await;
    for part in ["POSSIBLE, score ", "Sergei Lavrov: person, ", "for: the names are equal", "the regions differ: "] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(!terminal.reads_lines());
    // Nothing to undo; keys without a meaning, a cursor key, and an alt key that ends in an answer.
    terminal.type_keys("u");
    terminal.shows("nothing to undo").await;
    for keys in ["x", "\u{1b}[A", "\u{1b}s", "é"] {
        shown(&mut terminal, 0).await;
        terminal.type_keys(keys);
    }
    shown(&mut terminal, 0).await;
    assert_eq!(verdicts(&service).await, []);

    terminal.type_keys("s");
    shown(&mut terminal, 1).await;
    assert_eq!(verdicts(&service).await, [(Verdict::Same, "seen in a test".into())]);
    // The pair is shown again, and then the one that was shown at the undoing.
    terminal.type_keys("u");
    shown(&mut terminal, 0).await;
    assert_eq!(verdicts(&service).await, []);
    terminal.type_keys("d");
    shown(&mut terminal, 1).await;
    assert_eq!(verdicts(&service).await, [(Verdict::Different, "seen in a test".into())]);
    terminal.type_keys(" ");
    shown(&mut terminal, 2).await;
    terminal.type_keys("D");
    terminal.shows("no more pairs: undo (u), quit (q)? ").await;
    terminal.type_keys("u");
    shown(&mut terminal, 2).await;
    terminal.type_keys("n");
    terminal.shows("no more pairs: undo (u), quit (q)? ").await;
    terminal.type_keys("q");
    terminal.shows("1 judged").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert_eq!(format!("{:?}", terminal.mode()), format!("{before:?}"));
    assert_eq!(verdicts(&service).await.len(), 1);
}

#[tokio::test]
async fn review_ends_at_ctrl_c_ctrl_d_and_signals_with_the_mode_restored() {
    let service = Service::start().await;
    create_pairs(&service, 2).await;
    for end in ["q", "Q", "\u{3}", "\u{4}", "\u{1c}", "TERM", "HUP"] {
        let mut terminal = start(&service);
        terminal.shows(PROMPT).await;
        assert!(!terminal.reads_lines());
        // The leader of a session cannot be suspended.
        terminal.type_keys("\u{1a}");
        terminal.shows(PROMPT).await;
        match end {
            "TERM" | "HUP" => terminal.signal(end),
            keys => terminal.type_keys(keys),
        }
        terminal.shows("0 judged").await;
        assert_eq!(terminal.ended().await, Some(0), "{end:?}");
        assert!(terminal.reads_lines(), "{end:?}");
    }
    assert_eq!(verdicts(&service).await, []);
}

#[tokio::test]
async fn suspended_review_gives_the_terminal_back_and_shows_the_pair_again() {
    let service = Service::start().await;
    create_pairs(&service, 2).await;
    let mut terminal = Terminal::start_below_a_shell(["duplicates", "--server", &service.address.to_string()]);
    let pair = terminal.shows(PROMPT).await;
    terminal.type_keys("\u{1a}");
    eventually("the mode is restored", async || terminal.reads_lines()).await;
    // A line for the shell, no answers.
    terminal.type_keys("ssss\n");
    terminal.resume();
    let again = terminal.shows(PROMPT).await;
    assert!(again.ends_with(&pair), "{again}");
    assert!(!terminal.reads_lines());
    terminal.type_keys("d");
    terminal.shows("no more pairs: undo (u), quit (q)? ").await;
    terminal.type_keys("q");
    terminal.shows("1 judged").await;
    assert_eq!((terminal.ended().await, terminal.reads_lines()), (Some(0), true));
    assert_eq!(verdicts(&service).await[0].0, Verdict::Different);
}

#[tokio::test]
async fn keys_typed_before_a_pair_is_shown_are_no_answer() {
    let service = Service::start().await;
    create_pairs(&service, 3).await;
    let mut terminal = start(&service);
    terminal.type_keys("sss");
    terminal.shows(PROMPT).await;
    assert_eq!(verdicts(&service).await, []);
    // Of keys that are typed at once, the first one answers.
    terminal.type_keys("dsss");
    terminal.shows(PROMPT).await;
    terminal.type_keys("q");
    terminal.shows("1 judged").await;
    assert_eq!(terminal.ended().await, Some(0));
    let verdicts: Vec<_> = verdicts(&service).await.into_iter().map(|(verdict, _)| verdict).collect();
    assert_eq!(verdicts, [Verdict::Different]);
}

#[tokio::test]
async fn pairs_that_others_judged_or_deleted_are_passed_over() {
    let service = Service::start().await;
    let pairs = create_pairs(&service, 4).await;
    let mut terminal = start(&service);
    terminal.shows(PROMPT).await;
    // The pair that is shown, and the next one.
    judge(&service, names(&pairs[0]), Verdict::Different, "two men\u{1b}[2J").await;
    judge(&service, names(&pairs[1]), Verdict::Different, "known").await;
    terminal.type_keys("s");
    terminal.shows("not judged: the two have been judged DIFFERENT: two men\\u{1b}[2J\n").await;
    let (first, second) = names(&pairs[1]);
    terminal.shows(&format!("{first} and {second} are passed over: the two have been judged DIFFERENT: known\n")).await;
    terminal.shows(PROMPT).await;
    let (_, gone) = names(&pairs[2]);
    service.delete_participant(gone).await.unwrap();
    terminal.type_keys("s");
    terminal.shows(&format!("not judged: {gone} is deleted\n")).await;
    terminal.shows(PROMPT).await;
    terminal.type_keys("q");
    terminal.shows("0 judged").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert_eq!(verdicts(&service).await.len(), 2);
}

#[tokio::test]
async fn judgement_that_another_curator_changed_is_not_undone() {
    let service = Service::start().await;
    let pairs = create_pairs(&service, 3).await;
    let mut terminal = start(&service);
    terminal.shows(PROMPT).await;
    terminal.type_keys("s");
    terminal.shows(PROMPT).await;
    judge(&service, names(&pairs[0]), Verdict::Different, "two men").await;
    terminal.type_keys("u");
    terminal.shows("not undone: the judgement has been changed since\n").await;
    terminal.shows(PROMPT).await;
    terminal.type_keys("q");
    terminal.shows("1 judged").await;
    assert_eq!(verdicts(&service).await, [(Verdict::Different, "two men".into())]);
}

#[tokio::test]
async fn review_without_pairs_ends_at_once_and_names_are_escaped() {
    let service = Service::start().await;
    let mut terminal = start(&service);
    terminal.shows("no more pairs").await;
    terminal.shows("0 judged").await;
    assert_eq!((terminal.ended().await, terminal.reads_lines()), (Some(0), true));

    let name = ParticipantName { text: "Serge \u{1b}[2J\u{202e}Lavrov".into(), ..Default::default() };
    let person = Participant { names: vec![name], ..settled_person("Sergei Lavrov", "RU") };
    service.create_participant(person).await;
    service.create_participant(settled_person("Sergei Lavrov", "BY")).await;
    await_pairs(&service.participants, 1).await;
    let mut terminal = start(&service);
    let text = terminal.shows(PROMPT).await;
    assert!(text.contains("also named: Serge \\u{1b}[2J\\u{202e}Lavrov\n"), "{text}");
    terminal.type_keys("q");
    assert_eq!(terminal.ended().await, Some(0));
    assert!(!terminal.screen().contains('\u{1b}'), "{:?}", terminal.screen());

    // The form of lines can be demanded on a terminal.
    let mut terminal = Terminal::start(["duplicates", "--server", &service.address.to_string(), "--output", "json"]);
    terminal.shows("{\"participant\":{").await;
    assert_eq!(terminal.ended().await, Some(0));
}

#[tokio::test]
async fn refusals_and_errors_end_the_review_with_the_mode_restored() {
    let service = access::start(access::api_tokens()).await;
    let database = service.database.clone();
    let reader = access::token(&database, "desk", Role::Reader).await.reveal();
    let address = service.address.to_string();
    let mut terminal = Terminal::start_with(("READOUT_TOKEN", "wrong"), ["duplicates", "--server", &address]);
    terminal.shows("readout: ").await;
    assert_eq!((terminal.ended().await, terminal.reads_lines()), (Some(2), true));

    // Another instance on the database is open.
    let open = Service::start_on(database).await;
    create_pairs(&open, 2).await;
    let mut terminal = Terminal::start_with(("READOUT_TOKEN", &reader), ["duplicates", "--server", &address]);
    terminal.shows(PROMPT).await;
    terminal.type_keys("s");
    terminal.shows("readout: the service cannot be used: ROLE_TOO_LOW: ").await;
    assert_eq!((terminal.ended().await, terminal.reads_lines()), (Some(2), true));
    assert_eq!(verdicts(&open).await, []);
}

#[tokio::test]
async fn review_that_loses_its_service_can_be_ended_or_gives_up_with_the_mode_restored() {
    let dir = DataDir::with_database().await;
    let service = Program::serve(&dir).await;
    let address = service.address().await.to_string();
    let mut participants = super::Participants::new(service.channel().await);
    for region in ["AZ", "RU"] {
        let participant = Some(settled_person("Sergei Lavrov", region));
        let request = readout::pb::CreateParticipantRequest { participant, ..Default::default() };
        participants.create_participant(request).await.unwrap();
    }
    await_pairs(&participants, 1).await;
    let mut ended = Terminal::start(["duplicates", "--server", &address]);
    let mut patient = Terminal::start(["duplicates", "--server", &address]);
    for terminal in [&mut ended, &mut patient] {
        terminal.shows(PROMPT).await;
    }
    service.kill().await;
    for terminal in [&mut ended, &mut patient] {
        terminal.type_keys("s");
        terminal.shows("waiting for ").await;
    }
    let start = Instant::now();
    ended.type_keys("\u{3}");
    ended.shows("0 judged").await;
    assert_eq!((ended.ended().await, ended.reads_lines()), (Some(0), true));
    assert!(start.elapsed().as_secs() < 10);
    patient.shows("0 judged").await;
    patient.shows("readout: ").await;
    assert_eq!((patient.ended().await, patient.reads_lines()), (Some(2), true));
}
