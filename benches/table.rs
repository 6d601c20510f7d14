//! The measurements as one table.

use std::fmt;

/// The rows so far.
#[derive(Default)]
pub struct Table(Vec<[String; 6]>);

/// The target of a ratio.
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// The ratio is reported without a target.
    Any,
}

impl Table {
    /// Adds a figure with its baseline, both as text, and the ratio of the two.
    pub fn add(&mut self, figure: &str, (measured, baseline): (String, String), ratio: f64, target: Target) {
        let (target, verdict) = match target {
            Target::AtLeast(least) => (format!(">= {least}"), verdict(ratio >= least)),
            Target::AtMost(most) => (format!("<= {most}"), verdict(ratio <= most)),
            Target::Any => (String::new(), ""),
        };
        let ratio = if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") };
        let row = [figure.to_owned(), measured, baseline, ratio, target, verdict.to_owned()];
        eprintln!("{}", row.join(" | "));
        self.0.push(row);
    }

    /// Adds a figure with an absolute limit, both in `unit`.
    pub fn bound(&mut self, figure: &str, measured: f64, unit: &str, most: f64) {
        let figures = (format!("{measured:.2} {unit}"), format!("{most} {unit}"));
        self.add(figure, figures, measured / most, Target::AtMost(1.0));
    }

    /// Adds a figure without a target.
    pub fn report(&mut self, figure: &str, measured: String, baseline: String) {
        self.add(figure, (measured, baseline), f64::NAN, Target::Any);
    }
}

fn verdict(is_good: bool) -> &'static str {
    if is_good { "ok" } else { "SHORT" }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["figure", "measured", "baseline", "ratio", "target", "verdict"].map(str::to_owned);
        let rows = || std::iter::once(&head).chain(&self.0);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in rows() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join(" | ").trim_end())?;
        }
        Ok(())
    }
}
