//! Random reports of one meeting, and rulings on them.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, subsequence},
};

use super::{TestReport, accounts::any_account, report, ruling, settled, source, source_reports};
use crate::{
    model::{meeting::settle_on, settle::*},
    pb::{Meeting, Report},
};

/// Reports of up to four articles, two of which are copies of one text. Several reports may be of one article.
pub fn any_sources() -> impl Strategy<Value = Vec<TestReport>> {
    sources(0)
}

/// At least `fewest` such reports.
pub fn sources(fewest: usize) -> impl Strategy<Value = Vec<TestReport>> {
    vec((any_account(), 0..4u32), fewest..6).prop_map(|accounts| {
        let sources = accounts.into_iter().enumerate().map(|(nth, (account, article))| TestReport {
            report: report(nth as u32, account),
            origin: Uuid::from_u128(article.min(2).into()),
            publish_date: NaiveDate::from_ymd_opt(2020, 9, article / 2 + 1).filter(|_| article != 3),
            uri: format!("https://example.org/{article}"),
        });
        sources.collect()
    })
}

/// Rulings on some fields each, some with equal create times. Half of them have settled ids, half local ones.
pub fn any_rulings() -> impl Strategy<Value = Vec<Report>> {
    let paths = subsequence(rulable_paths().collect::<Vec<_>>(), 1..5);
    vec((paths, any_account(), any::<bool>(), 0..3i64), 0..4).prop_map(|all| {
        let rulings = all.into_iter().enumerate().map(|(nth, (paths, account, is_settled, time))| {
            let account = if is_settled { settled(&[source(1, account)]) } else { account };
            let seconds = prost_types::Timestamp { seconds: time, nanos: 0 };
            Report { create_time: Some(seconds), ..ruling(nth as i64, &paths, account) }
        });
        rulings.collect()
    })
}

/// The reports and rulings of one meeting.
#[derive(Clone, Debug)]
pub struct Case {
    pub sources: Vec<TestReport>,
    pub rulings: Vec<Report>,
}

pub fn any_case() -> impl Strategy<Value = Case> {
    case_of(0)
}

/// A case with at least `fewest` reports of articles.
pub fn case_of(fewest: usize) -> impl Strategy<Value = Case> {
    // Half of the cases have no ruling, as nearly all meetings.
    let rulings = option::of(any_rulings()).prop_map(Option::unwrap_or_default);
    (sources(fewest), rulings).prop_map(|(sources, rulings)| Case { sources, rulings })
}

impl Case {
    pub fn settle(&self) -> Settled {
        settle(&source_reports(&self.sources), &self.rulings())
    }

    pub fn rulings(&self) -> Vec<&Report> {
        self.rulings.iter().collect()
    }

    pub fn settle_on(&self, meeting: &mut Meeting) {
        settle_on(meeting, &source_reports(&self.sources), &self.rulings());
    }

    pub fn meeting(&self) -> Meeting {
        let mut meeting = Meeting::default();
        self.settle_on(&mut meeting);
        meeting
    }

    /// The case without one of its reports or rulings.
    pub fn without(&self, at: Index) -> Self {
        let mut case = self.clone();
        let source_count = case.sources.len();
        match at.index(source_count + case.rulings.len()) {
            at if at < source_count => drop(case.sources.remove(at)),
            at => drop(case.rulings.remove(at - source_count)),
        }
        case
    }
}
