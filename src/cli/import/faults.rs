//! Faults of an import: the first of each kind are printed, the others are counted, and the output stays short, however
//! many messages are wrong.

use std::collections::HashMap;

use super::{fault::Fault, reader::At};
use crate::cli::escape;

/// The faults of one kind that are printed.
const PRINTED: u64 = 3;
/// Once the lines have this many bytes together, no more are printed.
const MOST_BYTES: usize = 4 << 10;
/// The longest line, in bytes.
const LONGEST_LINE: usize = 480;
/// Kinds that are counted by themselves; the others are counted together.
const MOST_KINDS: usize = 16;
/// The longest name of a kind in the summary, in bytes.
const LONGEST_KIND: usize = 100;
const OTHERS: &str = "other errors";

/// The number of faults of each kind, and of those that were printed.
#[derive(Debug)]
pub struct Faults {
    prints_all: bool,
    /// In the order in which they were met first, the others last.
    kinds: Vec<Kind>,
    by_name: HashMap<String, usize>,
    bytes: usize,
}

#[derive(Debug)]
struct Kind {
    name: String,
    count: u64,
    printed: u64,
}

impl Faults {
    pub fn new(prints_all: bool) -> Self {
        Self { prints_all, kinds: Vec::new(), by_name: HashMap::new(), bytes: 0 }
    }

    /// Counts a fault. Returns the line that is to be printed.
    pub fn add(&mut self, at: &At, fault: &Fault) -> Option<String> {
        let name = match self.by_name.contains_key(&fault.kind) || self.kinds.len() < MOST_KINDS {
            true => fault.kind.as_str(),
            false => OTHERS,
        };
        let index = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.kinds.push(Kind { name: name.to_owned(), count: 0, printed: 0 });
            self.kinds.len() - 1
        });
        let kind = &mut self.kinds[index];
        kind.count += 1;
        if !self.prints_all && (kind.printed == PRINTED || self.bytes > MOST_BYTES) {
            return None;
        }
        kind.printed += 1;
        let line = cut(&format!("{}: {}", shortened_path(at), fault.line()), LONGEST_LINE);
        self.bytes += line.len() + 1;
        Some(line)
    }

    /// A line for each kind with its count, unless all faults were printed.
    pub fn summary(&self) -> Vec<String> {
        if self.kinds.iter().all(|kind| kind.count == kind.printed) {
            return Vec::new();
        }
        let printed: u64 = self.kinds.iter().map(|kind| kind.printed).sum();
        let all: u64 = self.kinds.iter().map(|kind| kind.count).sum();
        let head =
            format!("{printed} of {all} errors and warnings are printed above (all with --all-errors); by kind:");
        let line = |kind: &Kind| format!("{:>8} {}", kind.count, cut(&kind.name, LONGEST_KIND));
        std::iter::once(head).chain(self.kinds.iter().map(line)).collect()
    }
}

/// A line as it is printed, of at most this many bytes.
fn cut(line: &str, longest: usize) -> String {
    let mut line = escape::text(line);
    if line.len() > longest {
        line.truncate(line.floor_char_boundary(longest));
        line.push('…');
    }
    line
}

/// File and line, with the end of a long path.
fn shortened_path(at: &At) -> String {
    const LONGEST: usize = 80;
    let cut = at.file.chars().count().saturating_sub(LONGEST);
    match at.file.char_indices().nth(cut) {
        Some((start, _)) if cut > 0 => format!("…{}:{}", &at.file[start..], at.line),
        _ => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(faults: &mut Faults, added: impl Iterator<Item = Fault>) -> String {
        let at = At { file: "/long/".repeat(40).into(), line: u64::MAX };
        let mut lines: Vec<String> = added.filter_map(|fault| faults.add(&at, &fault)).collect();
        lines.extend(faults.summary());
        lines.concat()
    }

    #[test]
    fn a_few_faults_are_printed_without_a_summary() {
        let mut faults = Faults::new(false);
        let at = At { file: "x".into(), line: 7 };
        let fault = |kind: &str| Fault::new(kind, format!("{kind} is wrong"));
        for _ in 0..PRINTED {
            assert_eq!(faults.add(&at, &fault("a")).as_deref(), Some("x:7: a is wrong"));
            assert_eq!(faults.add(&at, &fault("b")).as_deref(), Some("x:7: b is wrong"));
        }
        assert!(faults.summary().is_empty());
        assert_eq!(faults.add(&at, &fault("a")), None);
        let summary = faults.summary();
        assert_eq!(summary[1..], ["       4 a", "       3 b"]);
    }

    #[test]
    fn lines_are_short_whatever_is_wrong() {
        let text = "é\u{1b}".repeat(1_000);
        let of_one_kind = (0..700_000).map(|_| Fault::new("one", text.clone()).about(text.clone()));
        let of_many_kinds =
            (0..10_000).map(|kind| Fault::new(&format!("{kind}{text}"), text.clone()).about(text.clone()));
        for output in [all(&mut Faults::new(false), of_one_kind), all(&mut Faults::new(false), of_many_kinds)] {
            assert!(output.len() < 8_000, "{}", output.len());
        }
    }

    #[test]
    fn every_fault_is_printed_where_that_is_asked_for() {
        let mut faults = Faults::new(true);
        let output = all(&mut faults, (0..100).map(|number| Fault::new("one", format!("<{number}>"))));
        assert!(output.contains("<0>") && output.contains("<99>"), "{output}");
        assert!(faults.summary().is_empty());
    }
}
