//! The parameter `options`: settings of a session, as they stand on the command line of the server's program.

use super::DatabaseUrlError;

const EXPECTED: &str = "settings, each as -c name=value or --name=value, with a backslash before a space in a value";

/// Reads `-c name=value -cname=value --name=value`. A backslash stands before a space or a backslash of a value.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, DatabaseUrlError> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next().ok_or_else(bad)?,
                Some(setting) => setting.to_owned(),
                None => return Err(bad()),
            },
        };
        let (name, value) = setting.split_once('=').ok_or_else(bad)?;
        // The server takes a hyphen for an underscore there.
        settings.push((self::name(&name.replace('-', "_")).ok_or_else(bad)?, value.to_owned()));
    }
    Ok(settings)
}

/// The error for settings that cannot be read.
pub fn bad() -> DatabaseUrlError {
    DatabaseUrlError::BadValue { name: "options", expected: EXPECTED, nearest: None }
}

/// The name of a setting, if it is one.
pub fn name(name: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(chars.next())),
            c if c.is_ascii_whitespace() => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_in_each_form() {
        let settings =
            |text: &str| parse(text).map(|all| all.into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>());
        assert_eq!(settings(""), Ok(vec![]));
        assert_eq!(
            settings(r" -c geqo=off -csearch_path=a\ b,c\\d  --work-mem=1MB -c a.b= "),
            Ok(["geqo=off", r"search_path=a b,c\d", "work_mem=1MB", "a.b="].map(str::to_owned).into())
        );
        for wrong in ["-c", "-c geqo", "geqo=off", "-d 5", "-c =x", "--=x", "-c a;b=c"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
