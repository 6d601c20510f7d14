//! A type for passwords, tokens and URLs with passwords, which are never printed.

use std::{fmt, fs, path::Path, str::FromStr};

use anyhow::{Context, bail};

use crate::url_redaction;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the use that the secret is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a secret from a file, without the line end after its last line.
    ///
    /// # Errors
    /// If the file cannot be read, or is empty.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            bail!("{} is empty", file.display());
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the secret that is given directly or in a file; `None` if neither is given.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn given(value: Option<&Self>, file: Option<&Path>) -> anyhow::Result<Option<Self>> {
        value.map(|secret| Ok(secret.clone())).or_else(|| file.map(Self::read)).transpose()
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret as it may be shown: a redacted URL, or `***` for any other text.
pub fn redacted(secret: &str) -> String {
    if secret.contains("://") { url_redaction::url(secret) } else { "***".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn read_removes_the_last_line_end() {
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(Secret::read(file(content).path()).unwrap().expose(), "s3cret");
        }
        assert_eq!(Secret::read(file(" two \n\n").path()).unwrap().expose(), " two \n");
        let refused = Secret::read(file("\n").path()).unwrap_err().to_string();
        assert!(refused.ends_with(" is empty"), "{refused}");
        assert!(Secret::read(Path::new("/nowhere")).unwrap_err().to_string().contains("cannot read /nowhere"));
    }

    #[test]
    fn debug_hides_the_secret() {
        let secret: Secret = "s3cret".parse().unwrap();
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
    }

    #[test]
    fn redacted_hides_texts_that_are_not_urls() {
        assert_eq!(redacted("s3cret"), "***");
        assert_eq!(redacted("postgres://u:s3cret@db/readout"), "postgres://u:***@db/readout");
    }
}
