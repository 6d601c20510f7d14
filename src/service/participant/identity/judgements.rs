//! The judgements of curators on a participant, its merge by hand included.

use uuid::Uuid;

use crate::{
    model::{
        identity::{Judgement, Verdict},
        resource::Collection,
    },
    pb::{Participant, judgement},
};

/// The participants with which a curator has judged or merged a participant.
pub fn judged(participant: &Participant) -> impl Iterator<Item = Uuid> {
    let judged = participant.judgements.iter().flat_map(|judgement| [&judgement.participant, &judgement.other]);
    let merged = participant.merge.iter().map(|merge| &merge.into);
    judged.chain(merged).filter(|name| **name != participant.name).filter_map(|name| Collection::Participants.id(name))
}

/// The judgements on a participant, its merge by hand included.
pub fn judgements(id: Uuid, record: &Participant) -> Vec<Judgement> {
    let sequence = |time: Option<prost_types::Timestamp>| {
        time.map_or(0, |time| time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos)))
    };
    // Both participants have a judgement: the smaller one counts.
    let judged = record.judgements.iter().filter(|judgement| judgement.participant == record.name);
    let judged = judged.filter_map(|judgement| {
        let verdict = match judgement.verdict() {
            judgement::Verdict::Same => Verdict::Same,
            judgement::Verdict::Different => Verdict::Different,
            judgement::Verdict::Unspecified | judgement::Verdict::Withdrawn => return None,
        };
        let b = Collection::Participants.id(&judgement.other)?;
        Some(Judgement { a: id, b, verdict, sequence: sequence(judgement.time), is_merge: false })
    });
    let merged = record.merge.iter().filter_map(|merge| {
        let b = Collection::Participants.id(&merge.into)?;
        let sequence = sequence(merge.time);
        Some(Judgement { a: id, b, verdict: Verdict::Same, sequence, is_merge: true })
    });
    judged.chain(merged).collect()
}
