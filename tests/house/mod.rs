//! The structure of the code and the language of its comments. `make house` prints the counts and their limits.

mod imports;
mod map;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use self::imports::{Imports, Module};
use crate::support::repository::{File, files, read, root};

/// Maximum length of a source file, in lines.
const MAX_LINES: usize = 400;
/// Maximum length of README.md, in lines.
const MAX_README_LINES: usize = 150;
/// Maximum number of files and folders in one folder of `src/`.
const MAX_SIBLINGS: usize = 22;
/// Maximum number of comment lines that open with *What*, *Who*, *Whoever*, *Whether* or *Whatever*.
const MAX_WHAT_OPENINGS: usize = 10;
/// Maximum number of uses of *tell* and *told* in `src/`.
const MAX_TELL_WORDS: usize = 150;
/// Maximum number of values named `one` in `src/`.
const MAX_ONE_NAMES: usize = 100;
/// Maximum number of type names that more than two files define.
const MAX_SHARED_TYPE_NAMES: usize = 3;

/// A count, its limit, and the places that it counts.
struct Count {
    name: String,
    limit: usize,
    places: Vec<String>,
}

fn counts() -> Vec<Count> {
    let sources = files("src", "rs");
    let imports = Imports::of(&sources);
    let map = map::rows(&read("ARCHITECTURE.md"));
    let code: Vec<File> =
        ["src", "tests", "benches", "build"].into_iter().flat_map(|folder| files(folder, "rs")).collect();
    let protos = files("proto/readout", "proto");
    let readme_lines = (1..=read("README.md").lines().count()).map(|line| format!("README.md:{line}"));
    vec![
        Count { name: "circles of imports".into(), limit: 0, places: imports.circles() },
        Count { name: "arrows up".into(), limit: 0, places: map::arrows_up(&map, &imports.between_modules()) },
        Count { name: format!("files over {MAX_LINES} lines"), limit: 0, places: long_files(&code) },
        Count {
            name: format!("folders of src with more than {MAX_SIBLINGS} siblings"),
            limit: 0,
            places: crowded_folders(),
        },
        Count {
            name: "type names defined more than twice".into(),
            limit: MAX_SHARED_TYPE_NAMES,
            places: imports.shared_type_names(),
        },
        Count {
            name: "comments that open with What, Who, Whether".into(),
            limit: MAX_WHAT_OPENINGS,
            places: code.iter().chain(&protos).flat_map(words::what_openings).collect(),
        },
        Count {
            name: "tell, told in src".into(),
            limit: MAX_TELL_WORDS,
            places: sources.iter().flat_map(words::tell_words).collect(),
        },
        Count {
            name: "values named one in src".into(),
            limit: MAX_ONE_NAMES,
            places: sources.iter().flat_map(words::one_names).collect(),
        },
        Count { name: "lines of README.md".into(), limit: MAX_README_LINES, places: readme_lines.collect() },
    ]
}

fn long_files(files: &[File]) -> Vec<String> {
    let lines = files.iter().map(|file| (file, file.text.lines().count()));
    lines
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| format!("{}: {lines}", file.path.display()))
        .collect()
}

fn crowded_folders() -> Vec<String> {
    let mut siblings: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for file in files("src", "rs") {
        for path in file.path.ancestors() {
            if let Some(parent) = path.parent().filter(|parent| parent.starts_with("src")) {
                // A module `noun.rs` with a folder `noun/` is one sibling.
                siblings.entry(parent.to_owned()).or_default().insert(path.with_extension(""));
            }
        }
    }
    let crowded = siblings.into_iter().filter(|(_, siblings)| siblings.len() > MAX_SIBLINGS);
    crowded.map(|(folder, siblings)| format!("{}: {}", folder.display(), siblings.len())).collect()
}

#[test]
fn counts_stay_within_their_limits() {
    let mut exceeded = Vec::new();
    for Count { name, limit, places } in counts() {
        println!("{:>5} of at most {limit:>3}  {name}", places.len());
        if places.len() > limit {
            exceeded.push(format!("{name}, the first:\n  {}", places[..places.len().min(20)].join("\n  ")));
        }
    }
    assert!(exceeded.is_empty(), "{}", exceeded.join("\n"));
}

#[test]
fn architecture_map_lists_each_module_with_its_imports() {
    let map = map::rows(&read("ARCHITECTURE.md"));
    let imports = Imports::of(&files("src", "rs"));
    let listed: BTreeMap<Module, BTreeSet<Module>> =
        map.into_iter().map(|row| (row.module, row.knows.into_iter().collect())).collect();
    assert_eq!(listed, imports.between_modules());
}

#[test]
fn documents_name_paths_that_exist() {
    const ROOTS: [&str; 9] = ["src/", "tests/", "proto/", "build/", "benches/", "migrations/", "docs/", "ops/", ".ci/"];
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(PathBuf::from);
    let below = ["docs", "ops"].into_iter().flat_map(|folder| files(folder, "md")).map(|file| file.path);
    for page in pages.into_iter().chain(below) {
        let text = read(&page);
        // A placeholder such as `<noun>` or `NNNN` names no file.
        let is_path = |part: &&str| {
            ROOTS.iter().any(|root| part.starts_with(root))
                && !part.contains(['<', '{', '*', ' ', '…'])
                && !part.contains("NNNN")
        };
        let missing: Vec<&str> =
            text.split('`').skip(1).step_by(2).filter(is_path).filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", page.display());
    }
}
