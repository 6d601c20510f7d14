//! What must not be seen: passwords, tokens, and what holds one.

use std::{fmt, fs, path::Path, str::FromStr};

use anyhow::{Context, bail};

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

/// Parameters of a url that hold no secret.
const OPEN_PARAMETERS: [&str; 7] =
    ["application_name", "dbname", "host", "hostaddr", "port", "sslmode", "statement-cache-capacity"];

/// What may be shown of a secret: of a url all but the password, of anything else nothing.
pub fn redacted(secret: &str) -> String {
    of_url(secret).unwrap_or_else(|| "***".to_owned())
}

fn of_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let authority_ends = place.find('/').unwrap_or(place.len());
    let (authority, path) = place.split_at(authority_ends);
    // A password that was not percent-encoded may hold what ends an authority.
    if path.contains('@') || query.is_some_and(|query| query.contains('@')) {
        return None;
    }
    let authority = match authority.rsplit_once('@') {
        Some((account, host)) => match account.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let query = query.map(|query| format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")));
    Some(format!("{scheme}://{authority}{path}{}", query.unwrap_or_default()))
}

fn parameter(one: &str) -> String {
    match one.split_once('=') {
        Some((name, _)) if OPEN_PARAMETERS.contains(&name) => one.to_owned(),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    }
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
    fn of_a_url_all_but_the_password_is_shown() {
        for (url, shown) in [
            ("postgres://readout:s3cret@db:5432/readout", "postgres://readout:***@db:5432/readout"),
            ("postgres://readout@db/readout", "postgres://readout@db/readout"),
            ("postgres://db/readout?user=u&password=s3cret", "postgres://db/readout?user=***&password=***"),
            ("postgres://db/readout?sslmode=require", "postgres://db/readout?sslmode=require"),
            ("postgres://u:s3c@ret@db/readout", "postgres://u:***@db/readout"),
            ("postgres://u:s3/c@ret@db/readout", "***"),
            ("postgres://u:s3c?ret@db/readout", "***"),
            ("s3cret", "***"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
