//! The settled participations: each participant of any report once.

use super::{
    disputed_value::DisputedValue,
    disputes::{self, DisputeCollector, Field, ParticipationField as Disputed},
    offices,
    ranked_report::{RankedReport, ReportParticipation},
    ranking::{ReportedValue, SourceRanking, candidates, numbers, texts},
    settled_ids::Ids,
    sorted_unique,
};
use crate::pb;

/// A participation as one report has it.
struct ReportedParticipation<'a> {
    rank: usize,
    report: &'a RankedReport<'a>,
    part: &'a ReportParticipation<'a>,
}

/// The settled participations, in the order of `Ids::participations`. Their roles are the union of the reported ones.
pub fn settle<'a>(
    ids: &'a Ids<'a>,
    ranking: &SourceRanking,
    collector: &mut DisputeCollector<'a>,
) -> Vec<pb::Participation> {
    let mut reported: Vec<Vec<ReportedParticipation<'a>>> = ids.participations.iter().map(|_| Vec::new()).collect();
    for (rank, report) in ids.reports.iter().enumerate() {
        for part in &report.participations {
            reported[part.index].push(ReportedParticipation { rank, report, part });
        }
    }
    let reported = reported.iter().enumerate();
    reported.map(|(index, reported)| settle_participation(index, reported, ids, ranking, collector)).collect()
}

fn settle_participation<'a>(
    index: usize,
    reported: &[ReportedParticipation<'a>],
    ids: &'a Ids<'a>,
    ranking: &SourceRanking,
    collector: &mut DisputeCollector<'a>,
) -> pb::Participation {
    let id = ids.participations[index].as_str();
    let parts = || reported.iter().map(|reported| (reported.rank, reported.part.reported));
    let names = parts().map(|(rank, part)| ReportedValue(rank, part.name_as_written.as_str()));
    let presences = parts().map(|(rank, part)| ReportedValue(rank, part.presence));
    let offices = parts().filter_map(|(rank, part)| Some(ReportedValue(rank, part.office.as_ref()?)));
    let ranks = parts().map(|(rank, part)| ReportedValue(rank, part.rank.as_str()));
    let regions = parts().map(|(rank, part)| ReportedValue(rank, part.region_code.as_str()));
    let delegations =
        reported.iter().filter_map(|reported| Some(ReportedValue(reported.rank, reported.part.delegation?)));
    let on_behalf_of = reported
        .iter()
        .filter_map(|ReportedParticipation { rank, report, part }| {
            Some(ReportedValue(*rank, report.participation(&part.reported.on_behalf_of)?))
        })
        .filter(|ReportedValue(_, principal)| *principal != index);

    let field = |field| Field::Participation(id, field);
    let presence = collector.settle(ranking, field(Disputed::Presence), numbers(presences), disputes::presence);
    let offices = offices::office_candidates(offices, ranking);
    let office = collector.settle(ranking, field(Disputed::Office), offices, DisputedValue::Office);
    let rank = collector.settle(ranking, field(Disputed::Rank), texts(ranks), DisputedValue::Text);
    let region = collector.settle(ranking, field(Disputed::Region), texts(regions), DisputedValue::Text);
    let delegations = candidates(delegations, |delegation| *delegation);
    let delegation_id = |delegation: usize| DisputedValue::Id(&ids.delegations[delegation]);
    let delegation = collector.settle(ranking, field(Disputed::Delegation), delegations, delegation_id);
    let principal = ranking.value(on_behalf_of, |principal| *principal);
    pb::Participation {
        id: id.to_owned(),
        // All parts have the same participant: they are united by it, or it is empty.
        participant: parts().next().map(|(_, part)| part.participant.clone()).unwrap_or_default(),
        name_as_written: ranking.text(names),
        roles: sorted_unique(parts().flat_map(|(_, part)| part.roles.iter().copied())),
        presence: presence.unwrap_or_default(),
        office: office.cloned(),
        rank: rank.unwrap_or_default().to_owned(),
        region_code: region.unwrap_or_default().to_owned(),
        delegation: delegation.map(|delegation| ids.delegations[delegation].clone()).unwrap_or_default(),
        on_behalf_of: principal.map(|principal| ids.participations[principal].clone()).unwrap_or_default(),
        // Only a story has it.
        participant_kind: 0,
    }
}
