//! The files that `readout import` reads.

use std::io::{Cursor, Read};

use readout::{
    cli::{
        escape,
        import::{
            decompress::unpacked,
            formats::{Articles, Converter},
            framing::Messages,
        },
        json,
    },
    config::{OffsetUnit, StoryFormat},
    pb::{Article, ExportRecord, Story},
};

/// Bytes of a file that are read after decompression.
const MAX_BYTES: u64 = 128 << 10;

/// Reads a file, plain or compressed, up to the parsed messages.
pub fn import(input: &[u8]) {
    let Ok(unpacked) = unpacked(Box::new(Cursor::new(input.to_vec()))) else { return };
    let messages = Messages::new(unpacked.take(MAX_BYTES));
    let (mut line, mut count) = (0, 0);
    for frame in messages {
        assert!(frame.line >= line, "lines are in order");
        line = frame.line;
        count += 1;
        match frame.text {
            // Parsing is the matter of the other target; a few messages suffice.
            Ok(text) if count < 8 => parse(&text),
            Ok(_) => {}
            Err(fault) => super::assert_printable(&escape::text(&fault.line()).replace('\t', " ")),
        }
    }
    assert!(count <= MAX_BYTES);
}

/// Parses a message in ProtoJSON, and prints it.
pub fn json(input: &[u8]) {
    parse(&String::from_utf8_lossy(input));
}

fn parse(text: &str) {
    // A terminal shows a tab as it is.
    let printable =
        |mismatch: json::Mismatch| super::assert_printable(&escape::text(&mismatch.problem).replace('\t', " "));
    match json::parse::<Story>("readout.v1.Story", text) {
        Ok(story) => {
            let printed = json::print("readout.v1.Story", &story).expect("a message that was read");
            assert!(!printed.contains(char::is_control), "{printed:?}");
            let again = json::parse::<Story>("readout.v1.Story", &printed).expect("JSON that was printed");
            assert_eq!(json::print("readout.v1.Story", &again).expect("a message that was read"), printed);
            json::at_path("readout.v1.Story", &story, "reports[0].account.participations[0].name_as_written");
        }
        Err(mismatch) => printable(mismatch),
    }
    match json::parse::<ExportRecord>("readout.v1.ExportRecord", text) {
        Ok(record) => drop(json::print("readout.v1.ExportRecord", &record)),
        Err(mismatch) => printable(mismatch),
    }
}

/// Reads a message of an extractor, behind the name of its format, with an article in each unit of offsets.
pub fn extractions(input: &[u8]) {
    let Some((format, message)) = super::named(input) else { return };
    let format = match format {
        "langextract" => StoryFormat::Langextract,
        "instructor" => StoryFormat::Instructor,
        "citations" => StoryFormat::Citations,
        _ => StoryFormat::WebAnnotations,
    };
    let message = String::from_utf8_lossy(message);
    for unit in [OffsetUnit::CodePoint, OffsetUnit::Utf16, OffsetUnit::Byte] {
        let mut articles = Articles::default();
        let text = "\u{1f4f0} Kerim Veliyev received Ruslan Tsalikov in Baku on September 3.".to_owned();
        let uri = "https://example.org/2020/talks-in-baku".to_owned();
        articles.add(Article { uri, text, title: "A".to_owned(), ..Default::default() });
        let mut converter = Converter::new(format, articles, unit);
        let mut stories = converter.convert(&Default::default(), &message);
        stories.extend(converter.finish());
        for (_, story) in stories {
            match story {
                Ok(converted) => drop(json::print("readout.v1.Story", &converted.story).expect("a message")),
                Err(fault) => super::assert_printable(&escape::text(&fault.line()).replace('\t', " ")),
            }
        }
    }
}
