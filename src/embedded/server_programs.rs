//! Finds the PostgreSQL server programs that are installed on this machine.

use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::EmbeddedError;

/// The oldest major version whose SQL Readout uses.
const MINIMUM: u32 = 14;

/// Directories with one subdirectory per version: parent, prefix of the subdirectory, rest of the path.
const VERSIONED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // PostgreSQL's own RPMs
    ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew, Apple silicon
    ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew, Intel
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// One installed version of the server programs.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    dir: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u32,
    minor: u32,
}

impl Binaries {
    /// The newest server that is installed; `only` limits the search to one directory.
    pub(super) fn newest(only: Option<&Path>) -> Result<Self, EmbeddedError> {
        let newest = installed(only).into_iter().max_by_key(|binaries| binaries.version);
        newest.ok_or_else(|| none_installed(only))
    }

    /// The newest server that can run the cluster in `data`, whose `PG_VERSION` is `major`.
    pub(super) fn for_cluster(only: Option<&Path>, data: &Path, major: &str) -> Result<Self, EmbeddedError> {
        let installed = installed(only);
        if installed.is_empty() {
            return Err(none_installed(only));
        }
        let found = list_majors(&installed);
        installed
            .into_iter()
            .filter(|binaries| binaries.version.major.to_string() == major)
            .max_by_key(|binaries| binaries.version)
            .ok_or_else(|| EmbeddedError::OtherVersion { dir: data.to_owned(), needed: major.to_owned(), found })
    }

    fn at(dir: &Path) -> Option<Self> {
        let dir = dir.canonicalize().ok()?;
        if !["initdb", "pg_ctl", "postgres"].iter().all(|name| dir.join(name).is_file()) {
            return None;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let version = Version::parse(str::from_utf8(&output.stdout).ok()?)?;
        (version.major >= MINIMUM).then_some(Self { dir, version })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {}.{} in {}", self.version.major, self.version.minor, self.dir.display())
    }
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.8 (Debian 15.8-0)`; a beta, `18beta1`, counts as 18.0.
    fn parse(text: &str) -> Option<Self> {
        let number = text.split_once(')')?.1.trim_start();
        let mut parts =
            number.split(|character: char| !character.is_ascii_digit() && character != '.').next()?.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        Some(Self { major, minor })
    }
}

fn installed(only: Option<&Path>) -> Vec<Binaries> {
    let dirs = only.map_or_else(usual_dirs, |dir| vec![dir.to_owned()]);
    dirs.iter().filter_map(|dir| Binaries::at(dir)).collect()
}

fn none_installed(only: Option<&Path>) -> EmbeddedError {
    match only {
        Some(dir) => EmbeddedError::NoServerIn { dir: dir.to_owned(), minimum: MINIMUM },
        None => EmbeddedError::NoServer { minimum: MINIMUM },
    }
}

/// The directories in `PATH`, and those of the usual packages.
fn usual_dirs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<_> = std::env::split_paths(&path).collect();
    for (parent, prefix, rest) in VERSIONED {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        dirs.extend(
            entries
                .flatten()
                .filter(|entry| starts_with(&entry.file_name(), prefix))
                .map(|entry| entry.path().join(rest)),
        );
    }
    dirs
}

fn starts_with(name: &OsStr, prefix: &str) -> bool {
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

fn list_majors(installed: &[Binaries]) -> String {
    let mut majors: Vec<_> = installed.iter().map(|binaries| binaries.version.major).collect();
    majors.sort_unstable();
    majors.dedup();
    let majors: Vec<_> = majors.iter().map(u32::to_string).collect();
    majors.join(", ")
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn version_is_parsed_from_the_output_of_postgres() {
        let cases = [
            ("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n", Some((15, 8))),
            ("postgres (PostgreSQL) 17.2\n", Some((17, 2))),
            ("postgres (PostgreSQL) 18beta1\n", Some((18, 0))),
            ("postgres (PostgreSQL) 9.6.24\n", Some((9, 6))),
            ("something else\n", None),
        ];
        for (text, expected) in cases {
            let version = Version::parse(text).map(|version| (version.major, version.minor));
            assert_eq!(version, expected, "{text}");
        }
    }
}
