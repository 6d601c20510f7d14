//! A file that holds a cursor: the old one or the new one, whatever happens while it is written.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The file, and the cursor in it.
#[derive(Debug)]
pub struct Bookmark {
    path: PathBuf,
    cursor: Option<String>,
}

impl Bookmark {
    /// Reads the file, which need not be there yet.
    pub fn open(path: &Path) -> Result<Self> {
        let cursor = match fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => bail!("{} holds no cursor", path.display()),
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        Ok(Self { path: path.to_owned(), cursor })
    }

    /// Where to go on.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Puts another cursor in its place.
    pub fn set(&mut self, cursor: &str) -> Result<()> {
        if self.cursor.as_deref() == Some(cursor) {
            return Ok(());
        }
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let mut file =
            fs::File::create(&new).with_context(|| format!("{} cannot be written", Path::new(&new).display()))?;
        writeln!(file, "{cursor}")?;
        fs::rename(&new, &self.path).with_context(|| format!("{} cannot be replaced", self.path.display()))?;
        self.cursor = Some(cursor.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        let mut bookmark = Bookmark::open(&path).unwrap();
        assert_eq!(bookmark.cursor(), None);
        bookmark.set("01ab").unwrap();
        bookmark.set("02cd").unwrap();
        assert_eq!(Bookmark::open(&path).unwrap().cursor(), Some("02cd"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_without_a_cursor_is_no_reason_to_begin_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        fs::write(&path, "\n").unwrap();
        assert!(Bookmark::open(&path).is_err());
        assert!(Bookmark::open(dir.path()).is_err());
    }
}
