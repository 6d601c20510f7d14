//! The table of modules in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::Module;

/// A row: a top-level module and the modules that it may import.
pub struct Row {
    pub module: Module,
    pub knows: Vec<Module>,
}

/// The rows of the table with the columns `where`, `contents` and `knows`, from the lowest module to the highest.
pub fn rows(architecture: &str) -> Vec<Row> {
    let lines = architecture.lines().skip_while(|line| *line != "| where | contents | knows |").skip(2);
    lines.take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
    let [location, _, knows] = cells[..] else { panic!("a row has three columns: {line}") };
    let [path] = quoted(location)[..] else { panic!("the first column names one path: {line}") };
    let module = path.strip_prefix("src/").expect("a path below src/").trim_end_matches('/').trim_end_matches(".rs");
    Row { module: module.to_owned(), knows: quoted(knows).into_iter().map(str::to_owned).collect() }
}

/// The parts of a cell in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The imports of a module in a later row of the table, or in none.
pub fn arrows_up(rows: &[Row], imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let floor = |module: &Module| rows.iter().position(|row| row.module == *module).unwrap_or(usize::MAX);
    let arrows = imports.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    arrows.filter(|(from, to)| floor(to) >= floor(from)).map(|(from, to)| format!("{from} -> {to}")).collect()
}
