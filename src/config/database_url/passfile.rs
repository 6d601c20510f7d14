//! Reads the password file of libpq (PostgreSQL's manual, "The Password File"). sqlx is not used for it: sqlx logs
//! malformed lines with their password.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sqlx::postgres::PgConnectOptions;

use crate::config::Secret;

/// Finds the password of a user for a database. The file is `path`, else the one of `PGPASSFILE`, else `~/.pgpass`.
pub fn password(path: Option<&Path>, options: &PgConnectOptions) -> Option<Secret> {
    let default = || env::var_os("PGPASSFILE").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".pgpass")));
    let path = path.map(Path::to_owned).or_else(default)?;
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the password file is not used: others may read it; its mode must be 0600");
        return None;
    }
    find(&fs::read_to_string(&path).ok()?, &expected_fields(options)).and_then(|password| password.parse().ok())
}

/// The accepted values of the four fields before the password. A Unix socket also matches `localhost`.
fn expected_fields(options: &PgConnectOptions) -> [Vec<String>; 4] {
    let host = options.get_host().to_owned();
    let hosts = match options.get_socket() {
        Some(directory) => vec![directory.display().to_string(), "localhost".to_owned()],
        None if host.starts_with('/') => vec![host, "localhost".to_owned()],
        None => vec![host],
    };
    let user = options.get_username().to_owned();
    let database = options.get_database().unwrap_or(&user).to_owned();
    [hosts, vec![options.get_port().to_string()], vec![database], vec![user]]
}

/// Returns the password of the first line whose fields are `*` or expected values.
fn find(file: &str, expected: &[Vec<String>; 4]) -> Option<String> {
    let lines = file.lines().filter(|line| !line.starts_with('#')).filter_map(fields);
    let matches =
        |line: &[String; 5]| line.iter().zip(expected).all(|(field, values)| field == "*" || values.contains(field));
    lines.into_iter().find(matches).map(|[.., password]| password)
}

/// Splits a line at colons. A backslash escapes a colon or a backslash in a field.
fn fields(line: &str) -> Option<[String; 5]> {
    let mut fields: [String; 5] = Default::default();
    let mut index = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if index < 4 => index += 1,
            '\\' => fields[index].extend(chars.next()),
            c => fields[index].push(c),
        }
    }
    (index == 4).then_some(fields)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    const FILE: &str = "\
# db:5432:readout:desk:commented
broken
db:5432:other:desk:s3cret-other
db:*:readout:desk:s3c\\:r\\\\et
localhost:5432:*:desk:s3cret-socket
*:*:*:reader:s3cret-reader
";

    fn found(host: &str, user: &str) -> Option<String> {
        let options = PgConnectOptions::new_without_pgpass().port(5432).database("readout").username(user);
        find(FILE, &expected_fields(&if host.starts_with('/') { options.socket(host) } else { options.host(host) }))
    }

    #[test]
    fn find_returns_the_password_of_the_first_matching_line() {
        assert_eq!(found("db", "desk").as_deref(), Some("s3c:r\\et"));
        assert_eq!(found("/run/postgresql", "desk").as_deref(), Some("s3cret-socket"));
        assert_eq!(found("elsewhere", "reader").as_deref(), Some("s3cret-reader"));
        assert_eq!(found("elsewhere", "desk"), None);
    }

    #[test]
    fn password_ignores_a_file_that_other_users_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let options = PgConnectOptions::new_without_pgpass().host("db").port(5432).database("readout").username("desk");
        for (mode, expected) in [(0o600, Some("s3c:r\\et")), (0o640, None), (0o604, None)] {
            let path = dir.path().join(format!("{mode:o}"));
            fs::write(&path, FILE).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let password = password(Some(&path), &options);
            assert_eq!(password.as_ref().map(Secret::expose), expected, "{mode:o}");
        }
        assert_eq!(password(Some(&dir.path().join("none")), &options), None);
    }
}
