//! Compares places. One town has many spellings, so localities are compared loosely: the region, the people and the day
//! already agree when it matters.

use strsim::osa_distance;

use crate::{model::query::search::fold, pb::Place};

/// Maximum bytes of a folded locality. Computing a distance costs the product of the lengths.
const MAX_BYTES: usize = 128;

/// The place of an account.
#[derive(Debug, Clone, Default)]
pub struct PlaceFacts {
    region: String,
    /// The folded words of the locality.
    locality: Vec<String>,
    pub text: String,
}

/// The result of comparing two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// The localities agree, and the regions if both are known.
    Locality,
    /// The regions agree, and a locality is not known.
    Region,
    /// A place is not known.
    Unknown,
    /// The regions or the localities differ.
    Differs,
}

impl PlaceFacts {
    pub fn of(place: &Place) -> Self {
        let folded = fold(&place.locality, MAX_BYTES);
        let words = folded.split_whitespace().map(|word| if word == "st" { "saint" } else { word });
        let text = [place.locality.as_str(), place.region_code.as_str()];
        let text: Vec<&str> = text.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            region: place.region_code.clone(),
            locality: words.filter(|word| *word != "city").map(str::to_owned).collect(),
            text: text.join(", "),
        }
    }

    /// Compares two places.
    pub fn agreement(&self, other: &Self) -> Agreement {
        let have_regions = !self.region.is_empty() && !other.region.is_empty();
        if have_regions && self.region != other.region {
            return Agreement::Differs;
        }
        match localities_agree(&self.locality, &other.locality) {
            Some(true) => Agreement::Locality,
            Some(false) => Agreement::Differs,
            None if have_regions => Agreement::Region,
            None => Agreement::Unknown,
        }
    }
}

/// True if two localities are spellings of one. `None` if one is not known, or if they cannot be compared since they are
/// written in different scripts.
fn localities_agree(a: &[String], b: &[String]) -> Option<bool> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    // "Washington" and "Washington, D.C."
    if a.iter().all(|word| b.contains(word)) || b.iter().all(|word| a.contains(word)) {
        return Some(true);
    }
    let (a, b) = (a.concat(), b.concat());
    if is_latin(&a) != is_latin(&b) {
        return None;
    }
    let is_near = || {
        let longest = a.chars().count().max(b.chars().count());
        a.chars().next() == b.chars().next() && 4 * osa_distance(&a, &b) <= longest
    };
    Some(a == b || is_near() || (consonants(&a) == consonants(&b) && consonants(&a).len() > 1))
}

fn is_latin(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_alphabetic())
}

/// The letters that romanisations agree on: "Kyiv" and "Kiev", "Baku" and "Bakı".
fn consonants(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'ı' | 'ə')).collect()
}
