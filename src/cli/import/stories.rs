//! Imports stories over several concurrent streams. The outcome does not depend on their number: stories whose order
//! matters are sent on one stream, or once the earlier ones are answered, and faults are printed in the order of the
//! files.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, LazyLock},
};

use anyhow::{Context, Result};
use prost::Message;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    dependencies::{Dependencies, Dependency},
    edition::Edition,
    fault::Fault,
    formats::Converted,
    lane::{Answered, Lane, MAX_UNANSWERED, Outcome, PendingStory, REQUEST},
    reader::Location,
    source::StorySource,
    tally::ImportSummary,
};
use crate::{
    cli::{Clients, MESSAGE_LIMIT},
    config::{self, MeetingRule, OffsetUnit, ParticipantRule},
    model::rules::wire_limits::{self, RequestType},
    pb::{
        self, IngestStoriesRequest, OffsetEncoding, ParticipantMatching, Story, ingest_story_request::MeetingMatching,
    },
};

/// The unanswered stories per stream, and their bytes on one stream: enough to keep the service busy.
const WINDOW: usize = 32;
const WINDOW_BYTES: usize = 8 << 20;

/// Maximum number of stories that are read, or answered, after one that is not answered yet.
const MAX_AHEAD: u64 = 1024;

/// An import of stories, from one file after another.
pub struct StoryImport {
    rules: Rules,
    tally: Arc<ImportSummary>,
    /// The streams, each with the stories that wait for its answers.
    lanes: Vec<OpenLane>,
    tasks: JoinSet<Result<()>>,
    answers: mpsc::UnboundedReceiver<Answered>,
    /// The unanswered stories.
    unanswered: HashMap<u64, Unanswered>,
    /// The dependencies of the unanswered stories, by key.
    dependencies: HashMap<u64, Vec<(u64, Dependency)>>,
    /// The descriptions of participants that are stored.
    stored: HashSet<u64>,
    /// The stories that are not shown yet, by number.
    unshown: BTreeMap<u64, Shown>,
    /// The number of the next story.
    next: u64,
}

/// A stream.
struct OpenLane {
    stories: mpsc::UnboundedSender<PendingStory>,
    unanswered: usize,
    bytes: usize,
}

struct Unanswered {
    lane: usize,
    bytes: usize,
    keys: Vec<u64>,
    descriptions: Vec<u64>,
}

/// A story as the import shows it. The outcome follows.
struct Shown {
    location: Location,
    uri: String,
    warnings: Vec<String>,
    outcome: Option<Outcome>,
}

impl StoryImport {
    /// An import under the rules of these options. The streams open with their first story.
    pub fn new(clients: &Clients, tally: &Arc<ImportSummary>, args: &config::Import) -> Self {
        let rules = Rules::of(args);
        let (sender, answers) = mpsc::unbounded_channel();
        let (mut lanes, mut tasks) = (Vec::new(), JoinSet::new());
        // A dry run knows what it would have written on its stream only.
        for _ in 0..if args.dry_run { 1 } else { args.concurrency } {
            let (stories, received) = mpsc::unbounded_channel();
            let lane = Lane {
                stories: received,
                answers: sender.clone(),
                clients: clients.clone(),
                backoff: clients.backoff(),
                dry_run: args.dry_run,
                unanswered: VecDeque::new(),
                answered: 0,
            };
            tasks.spawn(lane.run());
            lanes.push(OpenLane { stories, unanswered: 0, bytes: 0 });
        }
        Self {
            rules,
            tally: tally.clone(),
            lanes,
            tasks,
            answers,
            unanswered: HashMap::new(),
            dependencies: HashMap::new(),
            stored: HashSet::new(),
            unshown: BTreeMap::new(),
            next: 0,
        }
    }

    /// Imports the messages of one file.
    ///
    /// # Errors
    /// If the service is unreachable, refuses every call, or breaks the protocol, and if a dry run is interrupted.
    pub async fn import(&mut self, messages: StorySource, edition: &mut Option<Edition>) -> Result<()> {
        let imported = self.import_all(messages, edition).await;
        if imported.is_err() {
            // The stories after the one that failed may have been written.
            self.unshown.retain(|_, shown| shown.outcome.is_some());
            self.show()?;
        }
        imported
    }

    async fn import_all(&mut self, mut messages: StorySource, edition: &mut Option<Edition>) -> Result<()> {
        // The story that was read last, if it must wait.
        let mut waiting: Option<(PendingStory, Dependencies)> = None;
        let mut has_more = true;
        loop {
            waiting = waiting.and_then(|(story, dependencies)| self.send(story, dependencies));
            if !has_more && waiting.is_none() && self.unanswered.is_empty() {
                return Ok(());
            }
            let shown = self.unshown.keys().next().copied().unwrap_or(self.next);
            let may_read = has_more && waiting.is_none() && self.next - shown < MAX_AHEAD;
            tokio::select! {
                Some(answered) = self.answers.recv() => self.answered(answered)?,
                Some(ended) = self.tasks.join_next() => ended??,
                message = messages.next(), if may_read => match message {
                    Some((location, converted)) => waiting = self.read(location, converted, edition)?,
                    None => has_more = false,
                },
            }
        }
    }

    /// Ends the streams.
    ///
    /// # Errors
    /// A stream failed.
    pub async fn finish(mut self) -> Result<()> {
        self.lanes.clear();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Makes a request of a message, or records its fault.
    fn read(
        &mut self,
        location: Location,
        converted: Result<Converted, Fault>,
        edition: &mut Option<Edition>,
    ) -> Result<Option<(PendingStory, Dependencies)>> {
        let number = self.next;
        self.next += 1;
        if let Some(edition) = edition {
            edition.see(converted.as_ref().map(|converted| &converted.story).ok());
        }
        let requested = converted.and_then(|Converted { story, warnings }| {
            let dependencies = Dependencies::of(&story, self.rules.participants, self.rules.meetings);
            Ok((request(story, &self.rules)?, warnings, dependencies))
        });
        let mut shown = Shown { location, uri: String::new(), warnings: Vec::new(), outcome: None };
        match requested {
            Ok(((request, bytes), warnings, dependencies)) => {
                let story = PendingStory { number, location: shown.location.clone(), request, bytes };
                (shown.uri, shown.warnings) = (story.uri().to_owned(), warnings);
                self.unshown.insert(number, shown);
                Ok(Some((story, dependencies)))
            }
            Err(fault) => {
                shown.outcome = Some(Outcome::Failed(fault));
                self.unshown.insert(number, shown);
                self.show()?;
                Ok(None)
            }
        }
    }

    /// Sends a story, or returns it if it must wait.
    fn send(&mut self, story: PendingStory, dependencies: Dependencies) -> Option<(PendingStory, Dependencies)> {
        let all: Vec<Dependency> = dependencies.after(&self.stored).collect();
        let Some(lane) = self.lane_for(&story, &all) else { return Some((story, dependencies)) };
        let mut keys = Vec::with_capacity(all.len());
        for dependency in all {
            self.dependencies.entry(dependency.key).or_default().push((story.number, dependency));
            keys.push(dependency.key);
        }
        let Dependencies { descriptions, .. } = dependencies;
        self.unanswered.insert(story.number, Unanswered { lane, bytes: story.bytes, keys, descriptions });
        let open = &mut self.lanes[lane];
        open.unanswered += 1;
        open.bytes += story.bytes;
        // Fails only if the stream has failed, which its task reports.
        let _ = open.stories.send(story);
        None
    }

    /// The stream on which a story can be sent now: that of the unanswered stories on which it depends, or the least
    /// busy one if it depends on none.
    fn lane_for(&self, story: &PendingStory, dependencies: &[Dependency]) -> Option<usize> {
        if self.unanswered.len() >= WINDOW * self.lanes.len() {
            return None;
        }
        let mut after = None;
        for dependency in dependencies {
            for (earlier, other) in self.dependencies.get(&dependency.key).into_iter().flatten() {
                if !dependency.conflicts_with(*other) {
                    continue;
                }
                let lane = self.unanswered.get(earlier).map(|earlier| earlier.lane);
                if after.is_some() && after != lane {
                    return None;
                }
                after = lane;
            }
        }
        let has_room = |lane: &usize| {
            let lane = &self.lanes[*lane];
            lane.unanswered == 0 || (lane.unanswered < MAX_UNANSWERED && lane.bytes + story.bytes <= WINDOW_BYTES)
        };
        let least_busy = || (0..self.lanes.len()).min_by_key(|lane| self.lanes[*lane].unanswered);
        after.or_else(least_busy).filter(has_room)
    }

    fn answered(&mut self, Answered { number, outcome }: Answered) -> Result<()> {
        let story = self.unanswered.remove(&number).context("the service answered a story twice")?;
        let lane = &mut self.lanes[story.lane];
        lane.unanswered -= 1;
        lane.bytes -= story.bytes;
        for key in story.keys {
            if let Some(stories) = self.dependencies.get_mut(&key) {
                stories.retain(|(other, _)| *other != number);
                if stories.is_empty() {
                    self.dependencies.remove(&key);
                }
            }
        }
        if matches!(outcome, Outcome::Accepted(_)) {
            self.stored.extend(story.descriptions);
        }
        if let Some(shown) = self.unshown.get_mut(&number) {
            shown.outcome = Some(outcome);
        }
        self.show()
    }

    /// Counts and prints the outcomes of stories, in the order of the stories.
    fn show(&mut self) -> Result<()> {
        while let Some(first) = self.unshown.first_entry()
            && first.get().outcome.is_some()
        {
            let Shown { location, uri, warnings, outcome } = first.remove();
            warnings.iter().for_each(|warning| self.tally.warned(&location, &uri, warning));
            match outcome {
                Some(Outcome::Accepted(result)) => {
                    result.warnings.iter().for_each(|warning| self.tally.warned(&location, &uri, warning));
                    self.tally.accepted(|totals| totals.story(&result))?;
                }
                Some(Outcome::Failed(fault)) => self.tally.failed(&location, &fault),
                Some(Outcome::Differs(fault)) => self.tally.differs(&location, &fault),
                None => {}
            }
        }
        Ok(())
    }
}

/// The rules for all stories of an import.
#[derive(Debug, Clone, Default)]
struct Rules {
    participants: ParticipantMatching,
    meetings: MeetingMatching,
    /// The fields that must have evidence.
    required_evidence: Vec<String>,
    offset_encoding: OffsetEncoding,
    allow_update: bool,
    dry_run: bool,
}

impl Rules {
    fn of(args: &config::Import) -> Self {
        let participants = match args.participant_matching {
            ParticipantRule::None => ParticipantMatching::None,
            ParticipantRule::Exact => ParticipantMatching::Exact,
            ParticipantRule::Settled => ParticipantMatching::Settled,
        };
        let meetings = match args.meeting_matching {
            MeetingRule::None => MeetingMatching::None,
            MeetingRule::Same => MeetingMatching::Same,
        };
        let required_evidence = args.policy.iter().map(|field| field.as_str().to_owned()).collect();
        let offset_encoding = match args.offset_unit {
            OffsetUnit::CodePoint => OffsetEncoding::CodePoint,
            OffsetUnit::Utf16 => OffsetEncoding::Utf16,
            OffsetUnit::Byte => OffsetEncoding::Byte,
        };
        let (allow_update, dry_run) = (args.allow_update, args.dry_run);
        Self { participants, meetings, required_evidence, offset_encoding, allow_update, dry_run }
    }
}

/// The type of [`REQUEST`].
static REQUEST_TYPE: LazyLock<Option<RequestType>> =
    LazyLock::new(|| RequestType::of(&pb::pool().get_message_by_name(REQUEST)?));

/// The request for a story, with its size in bytes. Refuses what the service would refuse before it decodes the
/// request: that would end the stream, with all of its stories.
fn request(story: Story, rules: &Rules) -> Result<(IngestStoriesRequest, usize), Fault> {
    let about = story.article.as_ref().map(|article| article.uri.clone()).unwrap_or_default();
    let fault = |fault: Fault| fault.about(about.clone());
    let mut request = IngestStoriesRequest { story: Some(story), ..Default::default() };
    request.set_participant_matching(rules.participants);
    request.set_meeting_matching(rules.meetings);
    request.require_evidence.clone_from(&rules.required_evidence);
    request.set_offset_encoding(rules.offset_encoding);
    request.allow_update = rules.allow_update;
    request.dry_run = rules.dry_run;
    match request.encoded_len() {
        bytes if bytes > MESSAGE_LIMIT => {
            let problem = format!("takes {bytes} bytes, and a message can have {MESSAGE_LIMIT}: split its reports");
            Err(fault(Fault::new("too large for a message", problem)))
        }
        bytes => {
            let checked = REQUEST_TYPE.map(|of| wire_limits::check(of, &[request.encode_to_vec()])).transpose();
            checked.map_err(|breach| fault(Fault::new("too many items", breach.to_string())))?;
            Ok((request, bytes))
        }
    }
}
