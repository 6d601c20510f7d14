//! The office in which somebody took part.

use super::ranking::{Candidate, ReportedValue, Texts, candidates, finest};
use crate::{model::text::names, pb};

/// An office as it compares: its texts by their places among those told, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct OfficeKey {
    texts: [usize; 3],
    seniority: i32,
}

impl OfficeKey {
    /// Whether `fine` tells all that it does, and more.
    fn contains(&self, fine: &Self) -> bool {
        let is_same_or_unset = |(coarse, fine): (&usize, &usize)| *coarse == 0 || coarse == fine;
        self.texts.iter().zip(&fine.texts).all(is_same_or_unset)
            && (self.seniority == 0 || self.seniority == fine.seniority)
            && self != fine
    }

    /// Which of its parts are told. Of two with the same parts, neither contains the other.
    fn parts(&self) -> [bool; 4] {
        let [title, organization, region] = self.texts.map(|text| text != 0);
        [title, organization, region, self.seniority != 0]
    }
}

/// The offices that can be settled on, from claims in order of rank: one that says a part of another gives way to it.
pub fn told<'a>(claims: impl Iterator<Item = ReportedValue<&'a pb::Office>>) -> Vec<Candidate<&'a pb::Office>> {
    let [mut titles, mut organizations, mut regions] = [Texts::new(), Texts::new(), Texts::new()];
    let keyed = claims.filter_map(|ReportedValue(teller, office)| {
        let pb::Office { title, organization, region_code, seniority } = office;
        let texts = [titles.place(title), organizations.place(organization), regions.place(region_code)];
        let key = OfficeKey { texts: texts.map(|place| place.map_or(0, |place| place + 1)), seniority: *seniority };
        (key.parts() != [false; 4]).then_some(ReportedValue(teller, (key, office)))
    });
    let offices = candidates(keyed, |(key, _)| *key);
    let are_alike = offices.windows(2).all(|two| two[0].value.0.parts() == two[1].value.0.parts());
    let finest = match are_alike {
        true => offices,
        false => finest(offices, |(coarse, _), (fine, _)| coarse.contains(fine)),
    };
    finest.into_iter().map(|one| one.map(|(_, office)| office)).collect()
}

/// Whether two offices are one value.
pub fn are_same(one: &pb::Office, other: &pb::Office) -> bool {
    let key = |office: &pb::Office| {
        let pb::Office { title, organization, region_code, seniority } = office;
        (names::key(title), names::key(organization), names::key(region_code), *seniority)
    };
    key(one) == key(other)
}
