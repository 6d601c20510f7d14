//! Participations: everybody that a report tells of, once, with what is settled on of each.

use super::{
    disputed_value::DisputedValue,
    disputes::{self, DisputeCollector, Field, ParticipationField as Disputed},
    ids::Ids,
    offices,
    ranking::{ReportedValue, SourceRanking, candidates, numbers, texts},
    reading::{RankedReport, ReportParticipation},
    united,
};
use crate::pb;

/// What one report tells of a participation.
struct ReportedParticipation<'a> {
    teller: usize,
    reading: &'a RankedReport<'a>,
    part: &'a ReportParticipation<'a>,
}

/// The settled participations, in the order of `Ids::participations`. Their roles are all that were told.
pub fn settle<'a>(
    ids: &'a Ids<'a>,
    scale: &SourceRanking,
    contests: &mut DisputeCollector<'a>,
) -> Vec<pb::Participation> {
    let mut tellings: Vec<Vec<ReportedParticipation<'a>>> = ids.participations.iter().map(|_| Vec::new()).collect();
    for (teller, reading) in ids.readings.iter().enumerate() {
        for part in &reading.parts {
            tellings[part.who].push(ReportedParticipation { teller, reading, part });
        }
    }
    tellings.iter().enumerate().map(|(who, tellings)| settle_one(who, tellings, ids, scale, contests)).collect()
}

fn settle_one<'a>(
    who: usize,
    tellings: &[ReportedParticipation<'a>],
    ids: &'a Ids<'a>,
    scale: &SourceRanking,
    contests: &mut DisputeCollector<'a>,
) -> pb::Participation {
    let id = ids.participations[who].as_str();
    let told = || tellings.iter().map(|telling| (telling.teller, telling.part.told));
    let names = told().map(|(teller, told)| ReportedValue(teller, told.name_as_written.as_str()));
    let presences = told().map(|(teller, told)| ReportedValue(teller, told.presence));
    let offices = told().filter_map(|(teller, told)| Some(ReportedValue(teller, told.office.as_ref()?)));
    let ranks = told().map(|(teller, told)| ReportedValue(teller, told.rank.as_str()));
    let regions = told().map(|(teller, told)| ReportedValue(teller, told.region_code.as_str()));
    let delegations = tellings.iter().filter_map(|it| Some(ReportedValue(it.teller, it.part.delegation?)));
    let on_behalf_of = tellings
        .iter()
        .filter_map(|it| Some(ReportedValue(it.teller, it.reading.participation(&it.part.told.on_behalf_of)?)))
        .filter(|ReportedValue(_, whom)| *whom != who);

    let presence = contests.settle(scale, Field::Of(id, Disputed::Presence), numbers(presences), disputes::presence);
    let office = contests.settle(scale, Field::Of(id, Disputed::Office), offices::told(offices), DisputedValue::Office);
    let rank = contests.settle(scale, Field::Of(id, Disputed::Rank), texts(ranks), DisputedValue::Text);
    let region = contests.settle(scale, Field::Of(id, Disputed::Region), texts(regions), DisputedValue::Text);
    let delegations = candidates(delegations, |at| *at);
    let in_delegation = |at: usize| DisputedValue::Id(&ids.delegations[at]);
    let delegation = contests.settle(scale, Field::Of(id, Disputed::Delegation), delegations, in_delegation);
    let whom = scale.value(on_behalf_of, |whom| *whom);
    pb::Participation {
        id: id.to_owned(),
        // All are the same: it is what they are united by, or empty.
        participant: told().next().map(|(_, told)| told.participant.clone()).unwrap_or_default(),
        name_as_written: scale.text(names),
        roles: united(told().flat_map(|(_, told)| told.roles.iter().copied())),
        presence: presence.unwrap_or_default(),
        office: office.cloned(),
        rank: rank.unwrap_or_default().to_owned(),
        region_code: region.unwrap_or_default().to_owned(),
        delegation: delegation.map(|at| ids.delegations[at].clone()).unwrap_or_default(),
        on_behalf_of: whom.map(|whom| ids.participations[whom].clone()).unwrap_or_default(),
    }
}
