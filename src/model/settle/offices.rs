//! Candidates for the office that a participant held.

use super::ranking::{FieldValues, ReportedValue, SourceRanking, TextIndex, candidates, finest};
use crate::{model::text::names, pb};

/// The key by which offices are compared. Each text is its number among the distinct texts, from 1; 0 if it is unset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct OfficeKey {
    texts: [usize; 3],
    seniority: i32,
}

impl OfficeKey {
    /// True if `fine` has all parts that are set here, with the same values, and more.
    fn contains(&self, fine: &Self) -> bool {
        let is_same_or_unset = |(coarse, fine): (&usize, &usize)| *coarse == 0 || coarse == fine;
        self.texts.iter().zip(&fine.texts).all(is_same_or_unset)
            && (self.seniority == 0 || self.seniority == fine.seniority)
            && self != fine
    }

    /// The parts that are set. Of two offices with the same parts set, neither contains the other.
    fn parts(&self) -> [bool; 4] {
        let [title, organization, region] = self.texts.map(|text| text != 0);
        [title, organization, region, self.seniority != 0]
    }
}

/// The offices, from values in order of rank. Separates an office that is a part of another.
pub fn office_candidates<'a>(
    values: impl Iterator<Item = ReportedValue<&'a pb::Office>>,
    ranking: &SourceRanking,
) -> FieldValues<&'a pb::Office> {
    let [mut titles, mut organizations, mut regions] = [TextIndex::new(), TextIndex::new(), TextIndex::new()];
    let keyed = values.filter_map(|ReportedValue(rank, office)| {
        let pb::Office { title, organization, region_code, seniority } = office;
        let texts = [titles.index(title), organizations.index(organization), regions.index(region_code)];
        let key = OfficeKey { texts: texts.map(|index| index.map_or(0, |index| index + 1)), seniority: *seniority };
        (key.parts() != [false; 4]).then_some(ReportedValue(rank, (key, office)))
    });
    let offices = candidates(keyed, |(key, _)| *key);
    let have_same_parts = offices.windows(2).all(|pair| pair[0].value.0.parts() == pair[1].value.0.parts());
    let finest = match have_same_parts {
        true => offices.into(),
        false => finest(offices, ranking, |(coarse, _), (fine, _)| coarse.contains(fine)),
    };
    finest.map(|(_, office)| office)
}

/// True if two offices are the same value.
pub fn are_same(left: &pb::Office, right: &pb::Office) -> bool {
    let key = |office: &pb::Office| {
        let pb::Office { title, organization, region_code, seniority } = office;
        (names::key(title), names::key(organization), names::key(region_code), *seniority)
    };
    key(left) == key(right)
}
