//! The settled stops: the further places of an event, each once.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::ranked_report::RankedReport;
use crate::{
    model::{
        text::names,
        time::{
            dates,
            spans::{SpanKey, contains, key},
        },
    },
    pb::{DateSpan, Place, Stop},
};

/// Maximum number of dates of one place that are compared by precision. The effort is quadratic. With more, only stops
/// of equal dates are one.
const MAX_COMPARED: usize = 64;

/// The union of the stops of all reports.
///
/// Stops with the same region and locality are one if they have the same date, if one has none, or if the date of one
/// contains that of the other. Without a locality the venue counts, then the location. The union has the most precise
/// date, and the wording, venue and location of the first report that tells them. A stop that is less precise than
/// several others adds to the first of these.
///
/// Stops are sorted by their first and last day, those without a day last, then by the first report. The result, as the
/// only report, settles to itself.
pub fn settle(reports: &[RankedReport<'_>]) -> Vec<Stop> {
    let mut places: Vec<Vec<Dated>> = Vec::new();
    let mut indexes: HashMap<PlaceKey, usize> = HashMap::new();
    let told = reports.iter().flat_map(|report| &report.account.stops);
    for (position, stop) in told.enumerate() {
        let Some(place) = &stop.place else { continue };
        let index = *indexes.entry(PlaceKey::of(place)).or_insert(places.len());
        if index == places.len() {
            places.push(Vec::new());
        }
        let date = stop.date.as_ref().filter(|date| **date != DateSpan::default());
        places[index].push(Dated { position, place: place.clone(), date: date.cloned() });
    }
    let mut stops: Vec<Dated> = places.into_iter().flat_map(united).collect();
    stops.sort_by_cached_key(|stop| {
        let days: Option<(NaiveDate, NaiveDate)> = stop.date.as_ref().and_then(dates::span);
        (days.is_none(), days, stop.position)
    });
    stops.into_iter().map(|Dated { place, date, .. }| Stop { place: Some(place), date }).collect()
}

/// The identity of a place.
#[derive(PartialEq, Eq, Hash)]
enum PlaceKey {
    Locality(String, String),
    Venue(String, String),
    Location(String, Option<(u64, u64)>),
}

impl PlaceKey {
    fn of(place: &Place) -> Self {
        let region = place.region_code.clone();
        let (locality, venue) = (names::key(&place.locality), names::key(&place.venue));
        // Adding zero turns -0.0 into 0.0.
        let bits = |number: f64| (number + 0.0).to_bits();
        match (locality.is_empty(), venue.is_empty()) {
            (false, _) => Self::Locality(region, locality),
            (true, false) => Self::Venue(region, venue),
            (true, true) => Self::Location(region, place.location.map(|at| (bits(at.latitude), bits(at.longitude)))),
        }
    }
}

/// A stop, with its position among those of all reports by rank.
struct Dated {
    position: usize,
    place: Place,
    date: Option<DateSpan>,
}

impl Dated {
    /// Takes what only the other tells of the place.
    fn add(&mut self, other: &Self) {
        self.position = self.position.min(other.position);
        if self.place.venue.is_empty() {
            self.place.venue.clone_from(&other.place.venue);
        }
        self.place.location = self.place.location.or(other.place.location);
    }
}

/// Unites the stops at one place.
fn united(stops: Vec<Dated>) -> Vec<Dated> {
    let mut distinct: Vec<Dated> = Vec::with_capacity(stops.len());
    let mut indexes: HashMap<Option<SpanKey>, usize> = HashMap::new();
    for stop in stops {
        match indexes.get(&stop.date.as_ref().map(key)) {
            Some(&index) => distinct[index].add(&stop),
            None => {
                indexes.insert(stop.date.as_ref().map(key), distinct.len());
                distinct.push(stop);
            }
        }
    }
    let (mut dated, undated): (Vec<Dated>, Vec<Dated>) = distinct.into_iter().partition(|stop| stop.date.is_some());
    if dated.len() <= MAX_COMPARED {
        let is_finer = |coarse: &Dated, fine: &Dated| match (&coarse.date, &fine.date) {
            (Some(coarse), Some(fine)) => contains(coarse, fine),
            _ => false,
        };
        let (coarse, mut finest): (Vec<Dated>, Vec<Dated>) = {
            let is_coarse: Vec<bool> =
                dated.iter().map(|coarse| dated.iter().any(|fine| is_finer(coarse, fine))).collect();
            let (coarse, finest): (Vec<_>, Vec<_>) = dated.into_iter().zip(is_coarse).partition(|(_, is)| *is);
            let stops = |marked: Vec<(Dated, bool)>| marked.into_iter().map(|(stop, _)| stop).collect();
            (stops(coarse), stops(finest))
        };
        for coarse in coarse {
            if let Some(fine) = finest.iter_mut().find(|fine| is_finer(&coarse, fine)) {
                fine.add(&coarse);
            }
        }
        dated = finest;
    }
    match dated.first_mut() {
        Some(first) => undated.iter().for_each(|stop| first.add(stop)),
        None => dated = undated,
    }
    dated
}
