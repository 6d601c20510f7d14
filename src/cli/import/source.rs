//! The stories of an input: its messages, or the stories that messages of an extractor mean.

use std::collections::VecDeque;

use super::{
    fault::{Fault, uri_in},
    formats::{Converted, Converter, Stories},
    reader::{Location, Reader},
};
use crate::{cli::json, pb::Story};

/// The stories of one input, in order.
#[derive(Debug)]
pub struct StorySource {
    messages: Reader,
    /// Reads the messages of an extractor; `None` for stories.
    converter: Option<Converter>,
    /// Stories of messages that are read.
    ready: VecDeque<(Location, Result<Converted, Fault>)>,
    has_ended: bool,
}

impl StorySource {
    /// The stories of an input that has stories.
    pub fn of_stories(messages: Reader) -> Self {
        Self { messages, converter: None, ready: VecDeque::new(), has_ended: false }
    }

    /// The stories of an input of an extractor.
    pub fn converted(messages: Reader, converter: Converter) -> Self {
        Self { converter: Some(converter), ..Self::of_stories(messages) }
    }

    /// The next story with its location; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<(Location, Result<Converted, Fault>)> {
        loop {
            if let Some(story) = self.ready.pop_front() {
                return Some(story);
            }
            if self.has_ended {
                return None;
            }
            // The only point where the future can be dropped: nothing is taken from the queue yet.
            let stories = match self.messages.next().await {
                Some(message) => self.read(&message.location, message.text),
                None => {
                    self.has_ended = true;
                    self.converter.as_mut().map(Converter::finish).unwrap_or_default()
                }
            };
            self.ready.extend(stories);
        }
    }

    fn read(&mut self, location: &Location, text: Result<String, Fault>) -> Stories {
        let story = match (text, &mut self.converter) {
            (Err(fault), _) => Err(fault),
            (Ok(text), Some(converter)) => return converter.convert(location, &text),
            (Ok(text), None) => json::parse::<Story>("readout.v1.Story", &text)
                .map(|story| Converted { story, warnings: Vec::new() })
                .map_err(|mismatch| Fault::from_mismatch(&mismatch).about(uri_in(text.as_bytes()).unwrap_or_default())),
        };
        vec![(location.clone(), story)]
    }
}
