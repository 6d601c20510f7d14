//! Reports the faults of an import: prints the first of each kind and counts the others, so that the output stays short
//! even if every message is wrong.

use std::collections::HashMap;

use super::{fault::Fault, reader::Location};
use crate::cli::escape;

/// The number of faults of one kind that are printed.
const MAX_PRINTED: u64 = 3;
/// The total size in bytes after which no more lines are printed.
const MAX_BYTES: usize = 4 << 10;
/// Maximum length of a line, in bytes.
const MAX_LINE: usize = 480;
/// The number of kinds that are counted separately; all further kinds are counted together.
const MAX_KINDS: usize = 16;
/// Maximum length of the name of a kind in the summary, in bytes.
const MAX_KIND: usize = 100;
const OTHER_KINDS: &str = "other errors";

/// The counts of all faults and of printed faults, by kind.
#[derive(Debug)]
pub struct FaultReport {
    prints_all: bool,
    /// In the order of first occurrence.
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

impl FaultReport {
    pub fn new(prints_all: bool) -> Self {
        Self { prints_all, kinds: Vec::new(), by_name: HashMap::new(), bytes: 0 }
    }

    /// Counts a fault. Returns the line to print, if any.
    pub fn add(&mut self, location: &Location, fault: &Fault) -> Option<String> {
        let name = match self.by_name.contains_key(&fault.kind) || self.kinds.len() < MAX_KINDS {
            true => fault.kind.as_str(),
            false => OTHER_KINDS,
        };
        let index = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.kinds.push(Kind { name: name.to_owned(), count: 0, printed: 0 });
            self.kinds.len() - 1
        });
        let kind = &mut self.kinds[index];
        kind.count += 1;
        if !self.prints_all && (kind.printed == MAX_PRINTED || self.bytes > MAX_BYTES) {
            return None;
        }
        kind.printed += 1;
        let line = cut(&format!("{}: {}", shortened_path(location), fault.line()), MAX_LINE);
        self.bytes += line.len() + 1;
        Some(line)
    }

    /// Returns a heading and a line with the count of each kind; nothing if all faults were printed.
    pub fn summary(&self) -> Vec<String> {
        if self.kinds.iter().all(|kind| kind.count == kind.printed) {
            return Vec::new();
        }
        let printed: u64 = self.kinds.iter().map(|kind| kind.printed).sum();
        let all: u64 = self.kinds.iter().map(|kind| kind.count).sum();
        let head =
            format!("{printed} of {all} errors and warnings are printed above (all with --all-errors); by kind:");
        let line = |kind: &Kind| format!("{:>8} {}", kind.count, cut(&kind.name, MAX_KIND));
        std::iter::once(head).chain(self.kinds.iter().map(line)).collect()
    }
}

/// Escapes a line, and cuts it to at most `longest` bytes.
fn cut(line: &str, longest: usize) -> String {
    let mut line = escape::text(line);
    if line.len() > longest {
        line.truncate(line.floor_char_boundary(longest));
        line.push('…');
    }
    line
}

/// Formats a location. A long path is shortened to its end.
fn shortened_path(location: &Location) -> String {
    const MAX_FILE_NAME_CHARS: usize = 80;
    let cut = location.file.chars().count().saturating_sub(MAX_FILE_NAME_CHARS);
    match location.file.char_indices().nth(cut) {
        Some((start, _)) if cut > 0 => format!("…{}:{}", &location.file[start..], location.line),
        _ => location.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(faults: &mut FaultReport, added: impl Iterator<Item = Fault>) -> String {
        let location = Location { file: "/long/".repeat(40).into(), line: u64::MAX };
        let mut lines: Vec<String> = added.filter_map(|fault| faults.add(&location, &fault)).collect();
        lines.extend(faults.summary());
        lines.concat()
    }

    #[test]
    fn summary_is_empty_if_all_faults_are_printed() {
        let mut faults = FaultReport::new(false);
        let location = Location { file: "x".into(), line: 7 };
        let fault = |kind: &str| Fault::new(kind, format!("{kind} is wrong"));
        for _ in 0..MAX_PRINTED {
            assert_eq!(faults.add(&location, &fault("a")).as_deref(), Some("x:7: a is wrong"));
            assert_eq!(faults.add(&location, &fault("b")).as_deref(), Some("x:7: b is wrong"));
        }
        assert!(faults.summary().is_empty());
        assert_eq!(faults.add(&location, &fault("a")), None);
        let summary = faults.summary();
        assert_eq!(summary[1..], ["       4 a", "       3 b"]);
    }

    #[test]
    fn output_stays_short_with_many_faults() {
        let text = "é\u{1b}".repeat(1_000);
        let of_one_kind = (0..700_000).map(|_| Fault::new("same", text.clone()).about(text.clone()));
        let of_many_kinds =
            (0..10_000).map(|kind| Fault::new(&format!("{kind}{text}"), text.clone()).about(text.clone()));
        for output in [all(&mut FaultReport::new(false), of_one_kind), all(&mut FaultReport::new(false), of_many_kinds)]
        {
            assert!(output.len() < 8_000, "{}", output.len());
        }
    }

    #[test]
    fn all_faults_are_printed_if_requested() {
        let mut faults = FaultReport::new(true);
        let output = all(&mut faults, (0..100).map(|number| Fault::new("same", format!("<{number}>"))));
        assert!(output.contains("<0>") && output.contains("<99>"), "{output}");
        assert!(faults.summary().is_empty());
    }
}
