use proptest::{collection::vec, prelude::*};

use super::*;

/// Returns line and text of each message, or its fault after `! `.
fn all_of(input: &str, longest: usize) -> Vec<(u64, String)> {
    Messages::with_limit(input.as_bytes(), longest)
        .map(|frame| (frame.line, frame.text.unwrap_or_else(|fault| format!("! {}", fault.text))))
        .collect()
}

fn all(input: &str) -> Vec<(u64, String)> {
    all_of(input, MAX_MESSAGE_BYTES)
}

/// Returns the same, with `!` for each fault and without white space.
fn outline(input: &str) -> Vec<(u64, String)> {
    let short = |text: String| match text.strip_prefix('!') {
        Some(_) => "!".to_owned(),
        None => text.split_whitespace().collect(),
    };
    all(input).into_iter().map(|(line, text)| (line, short(text))).collect()
}

fn expect(input: &str, expected: &[(u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
    assert_eq!(outline(input), expected, "{input:?}: {:#?}", all(input));
}

#[test]
fn reader_finds_messages_in_every_layout() {
    expect("", &[]);
    expect(" \r\n\n\t", &[]);
    expect("{}", &[(1, "{}")]);
    expect("\u{feff}{}\r\n\r\n{\"a\":1}\r\n", &[(1, "{}"), (3, "{\"a\":1}")]);
    expect("{}{}\n{} {}", &[(1, "{}"), (1, "{}"), (2, "{}"), (2, "{}")]);
    expect("{\n  \"a\": {\n  }\n}\n{\n  \"b\": [\n1]\n}", &[(1, "{\"a\":{}}"), (5, "{\"b\":[1]}")]);
    expect("\u{feff}{}\n\u{feff}{}", &[(1, "{}"), (2, "{}")]);
    expect("[]", &[]);
    expect("[\n]\n", &[]);
    expect("[{},{\"a\":\"]}\\\"\"}]", &[(1, "{}"), (1, "{\"a\":\"]}\\\"\"}")]);
    expect("\u{feff} [\n  {\n    \"a\": 1\n  },\n  {\n  }\n]\n", &[(2, "{\"a\":1}"), (5, "{}")]);
    expect("[{}\n,{}\n,{}]", &[(1, "{}"), (2, "{}"), (3, "{}")]);
    expect("[{}]\n[{}]\n{}", &[(1, "{}"), (2, "{}"), (3, "{}")]);
}

#[test]
fn reader_skips_a_malformed_line() {
    expect("{}\nnot json\n{}\n", &[(1, "{}"), (2, "!"), (3, "{}")]);
    expect("{\"a\": tru}\n{}\n", &[(1, "!"), (2, "{}")]);
    expect("{\"a\":1\n{}\n", &[(1, "!"), (2, "{}")]);
    expect("{\"a\":\"x\n{}\n", &[(1, "!"), (2, "{}")]);
    expect("{\"a\":[\n{}\n{}\n", &[(1, "!"), (2, "{}"), (3, "{}")]);
    expect("{\"a\":\n\n\n{}\n{}", &[(1, "!"), (4, "{}"), (5, "{}")]);
    expect("nonsense\n{\"a\n5\nnull\n\"text\"\n{}", &[(1, "!"), (2, "!"), (3, "!"), (4, "!"), (5, "!"), (6, "{}")]);
    expect("{},\n{},\n", &[(1, "{}"), (1, "!"), (2, "{}"), (2, "!")]);
    expect(
        "[INFO] started\n{}\n{}\n[INFO] ended\n[{},{}]",
        &[(1, "!"), (2, "{}"), (3, "{}"), (4, "!"), (5, "{}"), (5, "{}")],
    );
    expect("[{}, x]\n{}\n{}", &[(1, "{}"), (1, "!"), (2, "{}"), (3, "{}")]);
    expect("{}}\n{}", &[(1, "{}"), (1, "!"), (2, "{}")]);
}

#[test]
fn reader_finds_the_next_message_by_its_indentation() {
    let input = "{\n  \"a\": {\n    \"b\" 1\n  }\n}\n{\n  \"c\": 1\n}\n";
    expect(input, &[(1, "!"), (6, "{\"c\":1}")]);
    assert_eq!(all(input)[0].1, "! malformed JSON in line 3, column 9: expected `:`; continued at line 6");
    expect(
        "[\n  {\n    \"a\": [\n      {]\n    ]\n  },\n  {\n    \"b\": 1\n  },\n  {}\n]\n{}",
        &[(2, "!"), (7, "{\"b\":1}"), (10, "{}"), (12, "{}")],
    );
    expect("[{\"a\" 1}\n,{\"b\":1}\n,{}]\n{}", &[(1, "!"), (2, "{\"b\":1}"), (3, "{}"), (4, "{}")]);
    expect("[\n{\"a\":1 \"b\"},\n{},\n{}\n]", &[(2, "!"), (3, "{}"), (4, "{}")]);
    expect("[\n  {\"a\" 1}\n]\n{}", &[(2, "!"), (4, "{}")]);
    expect("[{\"a\" 1}]\n[{}]", &[(1, "!"), (2, "{}")]);
}

#[test]
fn fault_says_that_reading_ends_if_no_message_follows() {
    let [(1, fault)] = &all("[{\"a\" 1}, {}, {}]")[..] else { panic!("one fault") };
    assert!(fault.ends_with("; nothing after it is read"), "{fault}");
    let [(1, fault)] = &all("{\n  \"a\" 1\n}\n")[..] else { panic!("one fault") };
    assert!(fault.ends_with("; nothing after it is read"), "{fault}");
    let [(1, fault)] = &all("{\"a\" 1}\n")[..] else { panic!("one fault") };
    assert!(fault.ends_with("expected `:`"), "{fault}");
}

#[test]
fn fault_says_that_a_file_is_cut_off() {
    for (input, whole) in [
        ("{}\n{\"a\": \"b", 1),
        ("{}\n{\n  \"a\": {\n    \"b\": 1\n  }\n", 1),
        ("[{}, {}", 2),
        ("[\n  {},\n", 1),
        ("[", 0),
        ("[{}, {\"a\"", 1),
    ] {
        let messages = all(input);
        let (last, before) = messages.split_last().expect("a fault");
        assert_eq!(before.len(), whole, "{messages:?}");
        assert!(last.1.contains("is it cut off?") && !last.1.contains("nothing after"), "{last:?}");
    }
}

#[test]
fn fault_has_line_column_and_the_expected_token() {
    for (input, line, fault) in [
        (
            "not json",
            1,
            "malformed JSON in line 1, column 1: expected a JSON object, or an array of objects, found \"not json\"",
        ),
        (
            "{}\n  5",
            2,
            "malformed JSON in line 2, column 3: expected a JSON object, or an array of objects, found \"5\"",
        ),
        ("{\"a\" 1}", 1, "malformed JSON in line 1, column 6: expected `:`"),
        ("  {\"é\": 1 2}", 1, "malformed JSON in line 1, column 11: expected `,` or `}`"),
        ("{\"a\":\n\"я\" x}", 1, "malformed JSON in line 2, column 5: expected `,` or `}`"),
        ("{\"a\": \"x\n\"}", 1, "malformed JSON in line 1, column 9: control character"),
        ("{'a': 1}", 1, "malformed JSON in line 1, column 2: key must be a string"),
        ("{\"a\": 1,}", 1, "malformed JSON in line 1, column 9: trailing comma"),
        ("{\"a\": NaN}", 1, "malformed JSON in line 1, column 7: expected value"),
        ("[{},]", 1, "malformed JSON in line 1, column 5: expected a message after the comma"),
        ("[{} {}]", 1, "malformed JSON in line 1, column 5: expected `,` or `]` between the messages of an array"),
        ("[1, 2]", 1, "malformed JSON in line 1, column 2: expected a JSON object, found \"1, 2]\""),
        ("[[{}]]", 1, "malformed JSON in line 1, column 2: expected a JSON object, found"),
        ("]", 1, "malformed JSON in line 1, column 1: expected a JSON object, or an array of objects, found \"]\""),
    ] {
        let faults: Vec<_> = all(input).into_iter().filter(|(_, text)| text.starts_with('!')).collect();
        assert_eq!((faults.len(), faults[0].0), (1, line), "{input:?} {faults:?}");
        assert!(faults[0].1[2..].starts_with(fault), "{input:?} {faults:?}");
    }
}

#[test]
fn fault_says_that_bytes_are_not_utf8() {
    for (input, expected) in [
        (&b"{\"a\":\"\xff\"}\n{}"[..], "a string that is not UTF-8"),
        (b"\xff\xff\xff\n{}", "which is not UTF-8"),
        (b"\x7fELF\x02\x00\x80\n{}", "which is not UTF-8"),
    ] {
        let mut messages = Messages::new(input);
        let fault = messages.next().expect("a fault").text.expect_err("a fault");
        assert!(fault.text.contains(expected), "{fault:?}");
        assert_eq!(messages.next().map(|frame| (frame.line, frame.text)), Some((2, Ok("{}".to_owned()))));
        assert_eq!(messages.next(), None);
    }
}

#[test]
fn fault_names_the_uri_if_there_is_one() {
    let mut messages = Messages::new(&b"{\"article\":{\"uri\" : \"urn:\\u0041\" \"title\"}}"[..]);
    assert_eq!(messages.next().expect("a fault").text.expect_err("a fault").subject, "urn:A");
    for none in ["{}", "{\"uri\"}", "{\"uri\":5}", "{\"uri\":\"x"] {
        assert_eq!(uri_in(none.as_bytes()), None, "{none}");
    }
}

#[test]
fn reader_accepts_a_message_of_the_largest_size() {
    let message = |len: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8));
    let input = [message(99), message(100), message(101), message(3_000), message(100)].join("\n");
    let sizes: Vec<_> = all_of(&input, 100).into_iter().map(|(line, text)| (line, text.len())).collect();
    let fault = "! is larger than 100 bytes".len();
    assert_eq!(sizes, [(1, 99), (2, 100), (3, fault), (4, fault), (5, 100)]);
}

#[test]
fn reader_handles_many_unfinished_messages_in_linear_time() {
    let input = "{\"reports\": [\n".repeat(10_000);
    assert_eq!(all(&input).len(), 10_000);
    let deep = "[".repeat(1_000_000);
    assert_eq!(all(&deep).len(), 1);
    let deep = format!("{{\"a\":{}", deep);
    assert_eq!(all(&deep).len(), 1);
}

#[test]
fn reader_buffers_one_message() {
    let input = "{\"a\": \"0123456789\"},\n".repeat(200_000);
    let mut messages = Messages::new(std::io::Cursor::new(format!("[{input}{{}}]")));
    let mut count = 0;
    while let Some(frame) = messages.next() {
        assert!(frame.text.is_ok() && messages.buffer.capacity() <= 4 * CHUNK, "{frame:?}");
        count += 1;
    }
    assert_eq!(count, 200_001);
}

fn any_message() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        any::<i32>().prop_map(serde_json::Value::from),
        "[\\[\\]{},:\"\\\\\n\u{feff}é a]{0,6}".prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ];
    let value = scalar.prop_recursive(3, 12, 4, |value| {
        prop_oneof![
            vec(value.clone(), 0..4).prop_map(serde_json::Value::from),
            vec(("[a-c{}]{1,3}", value), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    });
    vec(("[a-c]{1,2}", value), 0..4).prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()))
}

proptest! {
    #[test]
    fn messages_do_not_depend_on_the_layout(messages in vec(any_message(), 0..5), layout in 0..6) {
        let texts = |pretty: bool| messages.iter().map(move |message| match pretty {
            true => serde_json::to_string_pretty(message).expect("JSON"),
            false => message.to_string(),
        }).collect::<Vec<_>>();
        let input = match layout {
            0 => texts(false).join("\n"),
            1 => texts(true).join("\r\n"),
            2 => texts(true).concat(),
            3 => serde_json::to_string(&messages).expect("JSON"),
            4 => serde_json::to_string_pretty(&messages).expect("JSON"),
            _ => format!("\u{feff}[{}\n]\n", texts(true).join("\n,")),
        };
        let read: Vec<serde_json::Value> =
            all(&input).iter().map(|(_, text)| serde_json::from_str(text).expect("JSON")).collect();
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn reader_terminates_on_every_input(input in vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just("\""), Just("\n"), Just("\"a\":1"), Just(" "), Just("x"),
    ], 0..40)) {
        let input = input.concat();
        prop_assert!(all(&input).len() <= input.len());
    }
}
