//! What was measured, as one table.

use std::fmt;

/// All figures so far.
#[derive(Default)]
pub struct Table(Vec<[String; 6]>);

/// What a ratio should be.
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// It is only told.
    Any,
}

impl Table {
    /// A figure with its baseline, in words, and the ratio of the two.
    pub fn add(&mut self, figure: &str, (measured, baseline): (String, String), ratio: f64, wanted: Wanted) {
        let (wanted, verdict) = match wanted {
            Wanted::AtLeast(least) => (format!(">= {least}"), verdict(ratio >= least)),
            Wanted::AtMost(most) => (format!("<= {most}"), verdict(ratio <= most)),
            Wanted::Any => (String::new(), ""),
        };
        let ratio = if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") };
        let row = [figure.to_owned(), measured, baseline, ratio, wanted, verdict.to_owned()];
        eprintln!("{}", row.join(" | "));
        self.0.push(row);
    }

    /// A figure that has a bound of its own: how many of `unit`, and how many there may be.
    pub fn bound(&mut self, figure: &str, measured: f64, unit: &str, most: f64) {
        let words = (format!("{measured:.2} {unit}"), format!("{most} {unit}"));
        self.add(figure, words, measured / most, Wanted::AtMost(1.0));
    }

    /// A figure that is only told.
    pub fn tell(&mut self, figure: &str, measured: String, baseline: String) {
        self.add(figure, (measured, baseline), f64::NAN, Wanted::Any);
    }
}

fn verdict(is_good: bool) -> &'static str {
    if is_good { "ok" } else { "SHORT" }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["figure", "measured", "baseline", "ratio", "wanted", "verdict"].map(str::to_owned);
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
