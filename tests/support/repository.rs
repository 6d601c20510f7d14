//! The files of the repository, for tests of the code and the documents themselves.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file of the repository.
pub struct File {
    /// Relative to the root.
    pub path: PathBuf,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, whose path is relative to the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files with this extension in a folder and those below it, in the order of their paths.
pub fn files(folder: &str, extension: &str) -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let path = path.strip_prefix(root()).expect("below the root").to_owned();
                files.push(File { text: read(&path), path });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}
