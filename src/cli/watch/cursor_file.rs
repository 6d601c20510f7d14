//! Stores the cursor of a watch in a file, which is replaced atomically: a crash leaves the old cursor or the new one.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    str,
};

use anyhow::{Context, Result, bail};

/// A cursor file, and its content.
#[derive(Debug)]
pub struct CursorFile {
    path: PathBuf,
    cursor: Option<String>,
}

/// Maximum length of a cursor in bytes. Cursors of the service are shorter.
const MAX_CURSOR_LENGTH: usize = 1024;

impl CursorFile {
    /// Reads the file, which need not exist, and checks that it can be replaced.
    ///
    /// # Errors
    /// If the file holds no cursor, is not a regular file, or cannot be read or replaced.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let cursor = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("--cursor-file {name} cannot be read")),
            Ok(metadata) if metadata.is_dir() => bail!("--cursor-file {name} is a directory"),
            Ok(metadata) if !metadata.is_file() => bail!("--cursor-file {name} is not a regular file"),
            Ok(_) => {
                let bytes = fs::read(path).with_context(|| format!("--cursor-file {name} cannot be read"))?;
                let text = str::from_utf8(bytes.trim_ascii()).unwrap_or_default();
                if text.is_empty()
                    || text.len() > MAX_CURSOR_LENGTH
                    || !text.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    bail!("--cursor-file {name} holds no cursor: give another file, or remove it to begin at --from");
                }
                Some(text.to_owned())
            }
        };
        let mut cursor_file = Self { path: path.to_owned(), cursor: None };
        match cursor {
            Some(cursor) => cursor_file.set(&cursor)?,
            None => {
                let new = cursor_file.write_new("")?;
                fs::remove_file(&new)
                    .with_context(|| format!("--cursor-file {name}: cannot remove {}", new.display()))?;
            }
        }
        Ok(cursor_file)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stored cursor; `None` if the file does not exist.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Replaces the cursor in the file.
    ///
    /// # Errors
    /// If the new file cannot be written or renamed.
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

    /// Writes the file that will be renamed to this one.
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
    fn open_reads_the_last_cursor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        let mut cursor_file = CursorFile::open(&path).unwrap();
        assert_eq!(cursor_file.cursor(), None);
        cursor_file.set("01ab").unwrap();
        cursor_file.set("02cd").unwrap();
        assert_eq!(CursorFile::open(&path).unwrap().cursor(), Some("02cd"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn open_refuses_other_files_with_their_path() {
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
            let error = CursorFile::open(&path(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("holds no cursor"), "{error}");
            assert_eq!(fs::read(path(name)).unwrap(), bytes, "the file is unchanged");
        }
        fs::create_dir(path("taken.new")).unwrap();
        for (name, why) in [
            ("", "is a directory"),
            ("nodir/cursor", "cannot write"),
            ("empty/cursor", "cannot be read"),
            ("taken", "cannot write"),
        ] {
            let error = format!("{:#}", CursorFile::open(&path(name)).unwrap_err());
            assert!(error.contains(path(name).to_str().unwrap()) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn open_changes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cursor");
        CursorFile::open(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(&path, "01ab\n").unwrap();
        assert_eq!(CursorFile::open(&path).unwrap().cursor(), Some("01ab"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "01ab\n");
    }
}
