//! A file that holds a cursor: the old one or the new one, whatever happens while it is written.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    str,
};

use anyhow::{Context, Result, bail};

/// The file, and the cursor in it.
#[derive(Debug)]
pub struct Bookmark {
    path: PathBuf,
    cursor: Option<String>,
}

/// Longer than any cursor.
const LONGEST: usize = 1024;

impl Bookmark {
    /// Reads the file, which need not be there yet, and makes sure that it can be replaced.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let cursor = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("--cursor-file {name} cannot be read")),
            Ok(metadata) if metadata.is_dir() => bail!("--cursor-file {name} is a directory"),
            Ok(metadata) if !metadata.is_file() => bail!("--cursor-file {name} is no regular file"),
            Ok(_) => {
                let bytes = fs::read(path).with_context(|| format!("--cursor-file {name} cannot be read"))?;
                let text = str::from_utf8(bytes.trim_ascii()).unwrap_or_default();
                if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    bail!("--cursor-file {name} holds no cursor: give another file, or remove it to begin at --from");
                }
                Some(text.to_owned())
            }
        };
        let mut bookmark = Self { path: path.to_owned(), cursor: None };
        match cursor {
            Some(cursor) => bookmark.set(&cursor)?,
            None => {
                let new = bookmark.write_new("")?;
                fs::remove_file(&new)
                    .with_context(|| format!("--cursor-file {name}: cannot remove {}", new.display()))?;
            }
        }
        Ok(bookmark)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cursor to continue at.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Puts another cursor in its place.
    pub fn set(&mut self, cursor: &str) -> Result<()> {
        if self.cursor.as_deref() == Some(cursor) {
            return Ok(());
        }
        let new = self.write_new(&format!("{cursor}\n"))?;
        fs::rename(&new, &self.path)
            .with_context(|| format!("--cursor-file {} cannot be replaced", self.path.display()))?;
        self.cursor = Some(cursor.to_owned());
        Ok(())
    }

    /// Writes the file that is to take the place of this one.
    fn write_new(&self, text: &str) -> Result<PathBuf> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        fs::write(&new, text).with_context(|| {
            format!("--cursor-file {}: cannot write {}", self.path.display(), Path::new(&new).display())
        })?;
        Ok(new.into())
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
    fn a_file_that_cannot_hold_a_cursor_is_refused_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (name, bytes) in [
            ("empty", &b""[..]),
            ("blank", b"\n"),
            ("lines", b"01ab\n02cd\n"),
            ("binary", b"\x7fELF\0\xff"),
            ("json", "{\"a\": 1}".as_bytes()),
            ("letters", "0\u{e9}".as_bytes()),
            ("long", &[b'a'; 2_000]),
        ] {
            fs::write(path(name), bytes).unwrap();
            let told = Bookmark::open(&path(name)).unwrap_err().to_string();
            assert!(told.contains(name) && told.contains("holds no cursor"), "{told}");
            assert_eq!(fs::read(path(name)).unwrap(), bytes, "it is left as it is");
        }
        fs::create_dir(path("taken.new")).unwrap();
        for (name, why) in [
            ("", "is a directory"),
            ("nodir/cursor", "cannot write"),
            ("empty/cursor", "cannot be read"),
            ("taken", "cannot write"),
        ] {
            let told = format!("{:#}", Bookmark::open(&path(name)).unwrap_err());
            assert!(told.contains(path(name).to_str().unwrap()) && told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_check_leaves_the_file_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        Bookmark::open(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(&path, "01ab\n").unwrap();
        assert_eq!(Bookmark::open(&path).unwrap().cursor(), Some("01ab"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "01ab\n");
    }
}
