//! The measurement of one attack, and its row in the table.

use std::{fmt, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    attack::Attack,
    behaviours::Behaviour,
    polite::{Calls, DEADLINE, Kind},
    stage::{Stage, Usage},
};

/// The part of the calls answered alone that is answered during an attack, at least.
const MIN_RATIO: f64 = 0.8;
/// The time in which the service closes the connections of an attack that has ended.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time in which the tasks of an attack end.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The connection of the polite caller for its last call may still be open, and that of the reader of the metrics.
const GAUGE_TOLERANCE: f64 = 2.0;

/// The times of a measurement.
pub struct Periods {
    /// The polite caller is alone.
    alone: Duration,
    /// The attack begins.
    rise: Duration,
    /// The polite caller calls during the attack.
    attack: Duration,
    /// The polite caller is alone again.
    after: Duration,
}

impl Periods {
    pub const SHORT: Self = Self {
        alone: Duration::from_millis(250),
        rise: Duration::from_millis(300),
        attack: Duration::from_millis(1_250),
        after: Duration::from_millis(250),
    };

    pub const fn with_attack(attack: Duration) -> Self {
        let (alone, rise, after) = (Duration::from_secs(4), Duration::from_millis(1_500), Duration::from_secs(1));
        Self { alone, rise, attack, after }
    }
}

/// The figures of one attack.
pub struct Row {
    name: String,
    /// The answered calls of each kind, as a part of those answered alone.
    ratios: Vec<(Kind, f64)>,
    during: Calls,
    after: Calls,
    /// `None` if the process has ended.
    growth_mib: Option<u64>,
    /// Processors that the service kept busy.
    processors: f64,
    /// The time after which the connections and calls of the attack were closed; `None`: they were not.
    released: Option<Duration>,
    tally: String,
    has_ended: bool,
}

/// Lets the polite caller call alone, during the attack, and alone again.
pub async fn measure(stage: &Stage, behaviour: &Behaviour, periods: &Periods) -> Row {
    let polite = stage.polite().await;
    let alone = polite.call_for(periods.alone).await;
    let gauges = stage.gauges().await;
    stage.reset_peak();
    let before = stage.usage().expect("the process runs");

    let attack = Attack::new(stage.target(), behaviour.source);
    (behaviour.start)(&attack);
    sleep(periods.rise).await;
    let (start, risen) = (Instant::now(), stage.usage());
    let during = polite.call_for(periods.attack).await;
    let (took, usage) = (start.elapsed(), stage.usage());
    let tally = attack.tally();
    let has_ended = timeout(END_TIMEOUT, attack.end()).await.is_ok();

    let released = if usage.is_some() { released(stage, &gauges).await } else { None };
    let after = polite.call_for(periods.after).await;
    let ratio = |kind: &Kind| (*kind, during.answered_part(*kind) / alone.answered_part(*kind).max(f64::MIN_POSITIVE));
    Row {
        name: behaviour.name.clone(),
        ratios: Kind::ALL.iter().map(ratio).collect(),
        growth_mib: usage.map(|usage| usage.peak_kib.saturating_sub(before.resident_kib) / 1024),
        processors: cpu(risen, usage).as_secs_f64() / took.as_secs_f64(),
        during,
        after,
        released,
        tally,
        has_ended,
    }
}

fn cpu(from: Option<Usage>, to: Option<Usage>) -> Duration {
    let cpu = |usage: Option<Usage>| usage.map(|usage| usage.cpu).unwrap_or_default();
    cpu(to).saturating_sub(cpu(from))
}

/// Waits until the gauges are as before the attack, and returns the time that it took.
async fn released(stage: &Stage, before: &[(&'static str, f64)]) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < RELEASE_TIMEOUT {
        let gauges = stage.gauges().await;
        if gauges.iter().zip(before).all(|((_, now), (_, before))| *now <= before + GAUGE_TOLERANCE) {
            return Some(start.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}

impl Row {
    pub const HEADER: &str = concat!(
        "attack                                          | answered: read write count page new | ",
        "p50     p99     worst ms | MiB  CPU  closed s | the attacker's calls",
    );

    /// The ways in which the service was unfair.
    pub fn failures(&self, behaviour: &Behaviour) -> Vec<String> {
        let mut failures = Vec::new();
        let unfair = self.ratios.iter().filter(|(_, ratio)| *ratio < MIN_RATIO);
        failures.extend(unfair.map(|(kind, ratio)| {
            format!("{kind:?}: {ratio:.2} of the calls answered alone, at least {MIN_RATIO} expected")
        }));
        if !failures.is_empty() {
            failures.push(format!("lost calls: {:?}", self.during.lost));
        }
        let worst = self.during.latency(1.0);
        if worst > DEADLINE {
            failures.push(format!("a call took {worst:?}"));
        }
        match (self.growth_mib, behaviour.max_mib) {
            (None, _) => failures.push("the service ended".to_owned()),
            (Some(grown), Some(max)) if grown > max => {
                failures.push(format!("the service grew by {grown} MiB, at most {max} expected"));
            }
            _ => {}
        }
        if self.growth_mib.is_some() && self.released.is_none() {
            failures.push(format!("calls or connections of the attack were open {RELEASE_TIMEOUT:?} after its end"));
        }
        if !self.after.lost.is_empty() {
            failures.push(format!("lost calls after the attack: {:?}", self.after.lost));
        }
        if !self.has_ended {
            failures.push(format!("the attack did not end within {END_TIMEOUT:?}"));
        }
        failures
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<47} |          ", self.name)?;
        for (_, ratio) in &self.ratios {
            write!(formatter, " {ratio:>4.2}")?;
        }
        let ms = |part| self.during.latency(part).as_secs_f64() * 1e3;
        write!(formatter, " | {:>7.1} {:>7.1} {:>7.1}", ms(0.5), ms(0.99), ms(1.0))?;
        let mib = self.growth_mib.map_or("dead".to_owned(), |mib| mib.to_string());
        let released = self.released.map_or("never".to_owned(), |took| format!("{:.1}", took.as_secs_f64()));
        write!(formatter, "  | {mib:>4} {:>4.1} {released:>6} | {}", self.processors, self.tally)?;
        let lost: Vec<String> =
            self.during.lost.iter().map(|((kind, outcome), count)| format!("{kind:?} {count} {outcome}")).collect();
        if lost.is_empty() { Ok(()) } else { write!(formatter, "; lost: {}", lost.join(", ")) }
    }
}
