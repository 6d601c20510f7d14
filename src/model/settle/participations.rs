//! Participations: everybody that a report tells of, once, with what is settled on of each.

use super::{
    choice::{Candidate, Claim, Scale, candidates, finest, merged},
    ids::{Ids, Part, Reading},
    united,
};
use crate::{model::names, pb};

/// What one report tells of a participation.
struct Telling<'r, 'a> {
    teller: usize,
    reading: &'r Reading<'a>,
    part: &'r Part<'a>,
}

/// The settled participations, in the order of `Ids::participations`. Their roles are all that were told.
pub fn settle(ids: &Ids<'_>, scale: &Scale) -> Vec<pb::Participation> {
    let mut tellings: Vec<Vec<Telling<'_, '_>>> = ids.participations.iter().map(|_| Vec::new()).collect();
    for (teller, reading) in ids.readings.iter().enumerate() {
        for part in &reading.parts {
            tellings[part.who].push(Telling { teller, reading, part });
        }
    }
    tellings.iter().enumerate().map(|(who, tellings)| settle_one(who, tellings, ids, scale)).collect()
}

fn settle_one(who: usize, tellings: &[Telling<'_, '_>], ids: &Ids<'_>, scale: &Scale) -> pb::Participation {
    let told = || tellings.iter().map(|telling| (telling.teller, telling.part.told));
    let text = |field: fn(&pb::Participation) -> &str| scale.text(told().map(|(t, told)| Claim(t, field(told))));
    let number = |field: fn(&pb::Participation) -> i32| scale.number(told().map(|(t, told)| Claim(t, field(told))));
    let delegation = tellings.iter().filter_map(|it| Some(Claim(it.teller, it.part.delegation?)));
    let on_behalf_of = tellings
        .iter()
        .filter_map(|it| Some(Claim(it.teller, it.reading.participation(&it.part.told.on_behalf_of)?)))
        .filter(|Claim(_, whom)| *whom != who);
    let offices = told().filter_map(|(teller, told)| Some(Claim(teller, told.office.as_ref()?)));
    let id_in = |ids: &[String], at: Option<usize>| at.map(|at| ids[at].clone()).unwrap_or_default();

    pb::Participation {
        id: ids.participations[who].clone(),
        // All are the same: it is what they are united by, or empty.
        participant: told().next().map(|(_, told)| told.participant.clone()).unwrap_or_default(),
        name_as_written: text(|told| &told.name_as_written),
        roles: united(told().flat_map(|(_, told)| told.roles.iter().copied())),
        presence: number(|told| told.presence),
        office: office(scale, offices),
        rank: text(|told| &told.rank),
        region_code: text(|told| &told.region_code),
        delegation: id_in(&ids.delegations, scale.value(delegation, |at| *at)),
        on_behalf_of: id_in(&ids.participations, scale.value(on_behalf_of, |whom| *whom)),
    }
}

/// An office's fields as they compare: title, organization, region, seniority.
type OfficeKey = (String, String, String, i32);

fn office<'a>(scale: &Scale, claims: impl Iterator<Item = Claim<&'a pb::Office>>) -> Option<pb::Office> {
    let wordings = candidates(claims, |office| *office)
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
