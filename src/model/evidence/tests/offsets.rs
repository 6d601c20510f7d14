//! Offsets in the units of requests, in the text as sent and in the stored text.

use unicode_normalization::UnicodeNormalization;

use super::*;

/// Checks one quote at offsets in a text that was sent in any form. Returns the stored evidence, or the path and the
/// description of the violation.
fn counted(
    sent: &str,
    unit: OffsetEncoding,
    quote: &str,
    start: usize,
    end: usize,
) -> Result<Evidence, (String, String)> {
    let stored: String = sent.nfc().collect();
    let text = IndexedText::new(&stored).with_offsets_in(unit, (stored != sent).then_some(sent));
    let offsets = [start, end].map(|offset| i32::try_from(offset).unwrap());
    let cited = Evidence {
        field: "title".into(),
        quote: quote.into(),
        start: offsets[0],
        end: offsets[1],
        ..Default::default()
    };
    let (mut evidence, mut out) = ([cited], Violations::default());
    check(&mut evidence, &account(), Some(&text), &Path::ROOT.field("evidence"), &mut out);
    let [evidence] = evidence;
    match out.into_iter().next() {
        None => Ok(evidence),
        Some(violation) => Err((violation.field, violation.description)),
    }
}

fn units(text: &str, unit: OffsetEncoding) -> usize {
    match unit {
        OffsetEncoding::Byte => text.len(),
        OffsetEncoding::Utf16 => text.encode_utf16().count(),
        OffsetEncoding::Unspecified | OffsetEncoding::CodePoint => text.chars().count(),
    }
}

const UNITS: [OffsetEncoding; 4] =
    [OffsetEncoding::Unspecified, OffsetEncoding::CodePoint, OffsetEncoding::Utf16, OffsetEncoding::Byte];

#[test]
fn offsets_count_in_the_unit_of_the_request() {
    let text = "🕊 Kərim 東京 🕊🕊 left";
    for unit in UNITS {
        for words in ["🕊", "Kərim", "東京 🕊", "🕊🕊 left", "left", text] {
            let at = text.find(words).unwrap();
            let (start, end) = (units(&text[..at], unit), units(&text[..at + words.len()], unit));
            let stored = counted(text, unit, words, start, end).unwrap_or_else(|error| panic!("{words}: {error:?}"));
            let code_points = text[..at].chars().count();
            let expected = (words, code_points as i32, (code_points + words.chars().count()) as i32, Match::Exact);
            assert_eq!((stored.quote.as_str(), stored.start, stored.end, stored.r#match()), expected);
        }
    }
}

#[test]
fn offsets_within_a_code_point_are_refused_at_their_field() {
    let text = "a🕊é東";
    let pair = "must not be between the two code units of a surrogate pair of the text";
    let bytes = "must not be between the bytes of one code point of the text";
    for (unit, start, end, field, description) in [
        (OffsetEncoding::Utf16, 2, 3, "start", pair),
        (OffsetEncoding::Utf16, 1, 2, "end", pair),
        (OffsetEncoding::Byte, 2, 5, "start", bytes),
        (OffsetEncoding::Byte, 1, 4, "end", bytes),
        (OffsetEncoding::Byte, 5, 6, "end", bytes),
        (OffsetEncoding::Byte, 8, 10, "start", bytes),
    ] {
        let expected = (format!("evidence[0].{field}"), description.to_owned());
        assert_eq!(counted(text, unit, "🕊", start, end), Err(expected), "{unit:?} {start} {end}");
    }
}

#[test]
fn offsets_beyond_the_end_are_refused_with_the_length_in_their_unit() {
    let text = "a🕊éx";
    for (unit, length, name, plural) in [
        (OffsetEncoding::CodePoint, 4, "", "characters"),
        (OffsetEncoding::Utf16, 5, "UTF-16 offsets ", "UTF-16 code units"),
        (OffsetEncoding::Byte, 8, "byte offsets ", "bytes"),
    ] {
        let (start, end) = (length - 1, length + 1);
        let problem = format!("; the text has {length} {plural}; it is at 3 to 4");
        let description = format!("is not at {name}{start} to {end} of the text: \"x\"{problem}");
        assert_eq!(counted(text, unit, "x", start, end), Err(("evidence[0].quote".to_owned(), description)));
        assert_eq!(counted(text, unit, "x", start, length).unwrap().start, 3);
    }
}

#[test]
fn offsets_count_in_the_text_as_sent_before_the_stored_text() {
    // Each e with its accent composes: the stored text is shorter.
    let sent = "e\u{301}e\u{301}e\u{301} Baku 🕊 Baku Cafe\u{301}";
    let stored: String = sent.nfc().collect();
    for unit in UNITS {
        for words in ["Baku 🕊", "Cafe\u{301}", "e\u{301} B"] {
            let at = sent.rfind(words).unwrap();
            let offsets = (units(&sent[..at], unit), units(&sent[..at + words.len()], unit));
            let evidence = counted(sent, unit, words, offsets.0, offsets.1).unwrap();
            let composed: String = words.nfc().collect();
            let expected = stored[..stored.rfind(&composed).unwrap()].chars().count() as i32;
            assert_eq!((evidence.quote, evidence.start), (composed.clone(), expected), "{unit:?}");
            // The same words at their offsets in the stored text.
            let at = stored.rfind(&composed).unwrap();
            let offsets = (units(&stored[..at], unit), units(&stored[..at + composed.len()], unit));
            assert_eq!(counted(sent, unit, words, offsets.0, offsets.1).unwrap().start, expected, "{unit:?}");
        }
    }
    // Both are possible: the text as sent counts.
    let sent = "e\u{301} aa";
    assert_eq!(counted(sent, OffsetEncoding::CodePoint, "a", 3, 4).unwrap().start, 2);
    // Between the letter and its accent.
    let (field, _) = counted("e\u{301}", OffsetEncoding::CodePoint, "e", 0, 1).unwrap_err();
    assert_eq!(field, "evidence[0].quote");
}
