//! What must not be seen: passwords, tokens, and what holds one.

use std::{fmt, fs, path::Path, str::FromStr};

use anyhow::{Context, bail};

use crate::redaction;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a file holds, but for the end of its last line.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            bail!("{} is empty", file.display());
        }
        Ok(Self(text.to_owned()))
    }

    /// A secret that is given either as it is or in a file.
    pub fn given(itself: Option<&Self>, file: Option<&Path>) -> anyhow::Result<Option<Self>> {
        itself.map(|secret| Ok(secret.clone())).or_else(|| file.map(Self::read)).transpose()
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

/// A secret as it may be shown: a URL without its secrets, anything else not at all.
pub fn redacted(secret: &str) -> String {
    if secret.contains("://") { redaction::url(secret) } else { "***".to_owned() }
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
    fn the_end_of_a_line_is_not_part_of_a_secret() {
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(Secret::read(file(content).path()).unwrap().expose(), "s3cret");
        }
        assert_eq!(Secret::read(file(" two \n\n").path()).unwrap().expose(), " two \n");
        let refused = Secret::read(file("\n").path()).unwrap_err().to_string();
        assert!(refused.ends_with(" is empty"), "{refused}");
        assert!(Secret::read(Path::new("/nowhere")).unwrap_err().to_string().contains("cannot read /nowhere"));
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret: Secret = "s3cret".parse().unwrap();
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
    }

    #[test]
    fn of_a_secret_that_is_no_url_nothing_is_shown() {
        assert_eq!(redacted("s3cret"), "***");
        assert_eq!(redacted("postgres://u:s3cret@db/readout"), "postgres://u:***@db/readout");
    }
}
