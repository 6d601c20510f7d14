//! Participations: everybody that a report tells of, once, with what is settled on of each.

use super::{
    choice::{Candidate, Claim, Scale, candidates, finest, merged},
    ids::{Ids, Reading},
    united,
};
use crate::{model::names, pb};

/// What one report tells of a participation.
#[derive(Clone, Copy)]
struct Part<'r, 'a> {
    teller: usize,
    reading: &'r Reading<'a>,
    told: &'a pb::Participation,
}

/// The settled participations, in the order of `Ids::participations`. Their roles are all that were told.
pub fn settle(ids: &Ids<'_>, scale: &Scale) -> Vec<pb::Participation> {
    let mut parts: Vec<Vec<Part<'_, '_>>> = vec![Vec::new(); ids.participations.len()];
    for (teller, reading) in ids.readings.iter().enumerate() {
        for (told, &who) in reading.account.participations.iter().zip(&reading.participations) {
            parts[who].push(Part { teller, reading, told });
        }
    }
    parts.iter().enumerate().map(|(who, parts)| settle_one(who, parts, ids, scale)).collect()
}

fn settle_one(who: usize, parts: &[Part<'_, '_>], ids: &Ids<'_>, scale: &Scale) -> pb::Participation {
    let text = |field: fn(&pb::Participation) -> &str| {
        scale.text(parts.iter().map(|part| Claim(part.teller, field(part.told))))
    };
    let number = |field: fn(&pb::Participation) -> i32| {
        scale.number(parts.iter().map(|part| Claim(part.teller, field(part.told))))
    };
    let delegation =
        parts.iter().filter_map(|part| Some(Claim(part.teller, part.reading.delegation(&part.told.delegation)?)));
    let on_behalf_of = parts
        .iter()
        .filter_map(|part| Some(Claim(part.teller, part.reading.participation(&part.told.on_behalf_of)?)))
        .filter(|Claim(_, whom)| *whom != who);
    let id_in = |ids: &[String], at: Option<usize>| at.map(|at| ids[at].clone()).unwrap_or_default();

    pb::Participation {
        id: ids.participations[who].clone(),
        // All are the same: it is what they are united by, or empty.
        participant: parts.first().map(|part| part.told.participant.clone()).unwrap_or_default(),
        name_as_written: text(|told| &told.name_as_written),
        roles: united(parts.iter().flat_map(|part| part.told.roles.iter().copied())),
        presence: number(|told| told.presence),
        office: office(parts, scale),
        rank: text(|told| &told.rank),
        region_code: text(|told| &told.region_code),
        delegation: id_in(&ids.delegations, scale.value(delegation, |at| *at)),
        on_behalf_of: id_in(&ids.participations, scale.value(on_behalf_of, |whom| *whom)),
    }
}

/// An office's fields as they compare: title, organization, region, seniority.
type OfficeKey = (String, String, String, i32);

fn office(parts: &[Part<'_, '_>], scale: &Scale) -> Option<pb::Office> {
    let told = parts.iter().filter_map(|part| Some(Claim(part.teller, part.told.office.as_ref()?)));
    let wordings = candidates(told, |office| *office)
        .into_iter()
        .map(|Candidate { value, tellers }| Candidate { value: (key(value), value), tellers });
    let offices = merged(wordings.collect(), |(key, _)| Some(key.clone()).filter(|key| *key != OfficeKey::default()));
    scale.choose(finest(offices, |(coarse, _), (fine, _)| contains(coarse, fine))).map(|(_, office)| office.clone())
}

fn key(office: &pb::Office) -> OfficeKey {
    let pb::Office { title, organization, region_code, seniority } = office;
    (names::key(title), names::key(organization), names::key(region_code), *seniority)
}

/// Whether `fine` tells all that `coarse` does, and more.
fn contains(coarse: &OfficeKey, fine: &OfficeKey) -> bool {
    let text = |coarse: &str, fine: &str| coarse.is_empty() || coarse == fine;
    text(&coarse.0, &fine.0)
        && text(&coarse.1, &fine.1)
        && text(&coarse.2, &fine.2)
        && (coarse.3 == 0 || coarse.3 == fine.3)
        && coarse != fine
}
