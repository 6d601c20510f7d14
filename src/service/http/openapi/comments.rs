//! The comments of the contract, by the paths of their descriptors.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use prost_reflect::FileDescriptor;

type Comments = HashMap<Vec<i32>, String>;

static FILES: LazyLock<Mutex<HashMap<String, Comments>>> = LazyLock::new(Mutex::default);

/// The comment of a descriptor; empty if it has none.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let comments = files.entry(file.name().to_owned()).or_insert_with(|| of_file(file));
    comments.get(path).cloned().unwrap_or_default()
}

fn of_file(file: &FileDescriptor) -> Comments {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let texts = locations.iter().filter_map(|location| {
        let comment = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
        let lines: Vec<&str> = comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        Some((location.path.clone(), lines.join("\n").trim().to_owned()))
    });
    texts.collect()
}
