//! Parses the parameter `options`: settings of a session in the syntax of the server's command line.

use super::DatabaseUrlError;

const EXPECTED: &str = "settings, each as -c name=value or --name=value, with a backslash before a space in a value";

/// Parses `-c name=value -cname=value --name=value`. A backslash escapes a space or a backslash in a value.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, DatabaseUrlError> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next().ok_or_else(malformed)?,
                Some(setting) => setting.to_owned(),
                None => return Err(malformed()),
            },
        };
        let (name, value) = setting.split_once('=').ok_or_else(malformed)?;
        // The server treats a hyphen in a name as an underscore.
        settings.push((self::name(&name.replace('-', "_")).ok_or_else(malformed)?, value.to_owned()));
    }
    Ok(settings)
}

/// The error for settings that cannot be parsed.
pub fn malformed() -> DatabaseUrlError {
    DatabaseUrlError::BadValue { name: "options", expected: EXPECTED, nearest: None }
}

/// Returns the name if it can be the name of a setting.
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
    fn parse_accepts_each_form_of_a_setting() {
        let settings = |text: &str| {
            parse(text).map(|all| all.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        };
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
