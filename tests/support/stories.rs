//! The sample stories.

use std::{fs::File, io::Read, path::PathBuf};

use flate2::read::GzDecoder;
use readout::{
    cli::json,
    pb::{IngestStoriesRequest, ParticipantMatching, Story},
};

/// The path of a file of the test data.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The article that the project started from, as one line.
pub fn azernews_line() -> String {
    std::fs::read_to_string(path("azernews.story.json")).expect("the file exists").replace('\n', "")
}

/// The real stories, one per line.
pub fn lines() -> Vec<String> {
    let mut lines = String::new();
    let packed = File::open(path("stories.ndjson.gz")).expect("the file exists");
    GzDecoder::new(packed).read_to_string(&mut lines).expect("gzip");
    lines.lines().map(str::to_owned).collect()
}

/// Parses a line as a story.
pub fn story(line: &str) -> Story {
    json::parse("readout.v1.Story", line).expect("a story")
}

/// A request in a stream that writes this story.
pub fn request(story: &Story) -> IngestStoriesRequest {
    let participant_matching = ParticipantMatching::Exact.into();
    IngestStoriesRequest { story: Some(story.clone()), participant_matching, ..Default::default() }
}
