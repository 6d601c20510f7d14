//! Keys of maps in the paths of masks.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{MapKey, Value};

/// Reads a key, which ends its path. `None`: it is not written as a key is.
pub fn read(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('`') else {
        let is_plain = !text.is_empty() && !text.contains(['.', '`']);
        return is_plain.then(|| text.to_owned());
    };
    let quoted = quoted.strip_suffix('`')?;
    let key = quoted.replace("``", "`");
    let doubled = quoted.matches("``").count();
    let is_closed_early = quoted.matches('`').count() != 2 * doubled;
    (!key.is_empty() && !is_closed_early).then_some(key)
}

/// A key as a path has it.
pub fn written(key: &str) -> String {
    match key.contains(['.', '`']) {
        true => format!("`{}`", key.replace('`', "``")),
        false => key.to_owned(),
    }
}

/// The pairs of a map of strings.
pub fn texts(pairs: &HashMap<MapKey, Value>) -> BTreeMap<String, String> {
    let text = |(key, value): (&MapKey, &Value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned()));
    pairs.iter().filter_map(text).collect()
}

/// The key that the key of a path means: itself, or another one that ProtoJSON writes so, where only that pair is sent and
/// is another than it was. An error: it may mean this other one.
pub fn meant(key: &str, current: &BTreeMap<String, String>, sent: &BTreeMap<String, String>) -> Result<String, String> {
    let is_twin = |other: &&String| *other != key && in_json(other, key);
    let sent_twins: Vec<&String> = sent.keys().filter(is_twin).collect();
    let Some(twin) = sent_twins.first().copied().or_else(|| current.keys().find(is_twin)) else {
        return Ok(key.to_owned());
    };
    let stays = |twin: &&String| sent.get(*twin) == current.get(*twin);
    match (sent.contains_key(key), current.contains_key(key)) {
        // The other pairs are sent as they stand, or not at all.
        (true, _) if sent_twins.iter().all(stays) => Ok(key.to_owned()),
        (false, is_there) if sent_twins.len() == 1 && !(is_there && stays(&twin)) => Ok(twin.clone()),
        _ => Err(twin.clone()),
    }
}

/// True if a mask in ProtoJSON that names a key arrives as this path. Some libraries know capitals of ASCII alone.
fn in_json(key: &str, path: &str) -> bool {
    let snake = |is_capital: fn(&char) -> bool| {
        let mut snake = String::with_capacity(key.len() + 4);
        for letter in key.chars() {
            match is_capital(&letter) {
                true => {
                    snake.push('_');
                    snake.extend(letter.to_lowercase());
                }
                false => snake.push(letter),
            }
        }
        snake
    };
    snake(char::is_ascii_uppercase) == path || snake(|letter| letter.is_uppercase()) == path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn key_is_read_as_it_is_written() {
        for key in ["desk", "my_key", "a.b", "a`b", "`", "a b", "Ə"] {
            assert_eq!(read(&written(key)).as_deref(), Some(key));
        }
    }

    #[test]
    fn key_means_itself_or_the_one_that_json_writes_so() {
        for (key, current, sent, expected) in [
            // No other key is written so.
            ("my_key", &[][..], &[][..], Ok("my_key")),
            ("my_key", &[("my_key", "1")], &[("other", "2")], Ok("my_key")),
            ("mykey", &[("myKey", "1")], &[("myKey", "2")], Ok("mykey")),
            ("my_key", &[("my_Key", "1")], &[("mykey", "2")], Ok("my_key")),
            // Only the other one can be meant.
            ("my_key", &[], &[("myKey", "2")], Ok("myKey")),
            ("my_key", &[("myKey", "1")], &[("myKey", "2")], Ok("myKey")),
            ("_my_key", &[], &[("MyKey", "2")], Ok("MyKey")),
            ("état_major", &[], &[("étatMajor", "2")], Ok("étatMajor")),
            ("_état", &[], &[("État", "2")], Ok("État")),
            // The one that is named is sent, and the other one stays as it is.
            ("my_key", &[("myKey", "1")], &[("my_key", "2")], Ok("my_key")),
            ("my_key", &[("myKey", "1"), ("my_key", "1")], &[("myKey", "1"), ("my_key", "2")], Ok("my_key")),
            ("my_key", &[("myKey", "3"), ("my_key", "4")], &[("myKey", "9")], Ok("myKey")),
            ("my_key", &[("my_key", "3")], &[("myKey", "3")], Ok("myKey")),
            // Either may be meant.
            ("my_key", &[("myKey", "9"), ("my_key", "4")], &[("myKey", "9")], Err("myKey")),
            ("my_key", &[("myKey", "3"), ("my_key", "4")], &[("myKey", "9"), ("my_key", "4")], Err("myKey")),
            ("my_key", &[("myKey", "3"), ("my_key", "4")], &[], Err("myKey")),
            ("my_key", &[("myKey", "3")], &[], Err("myKey")),
            ("a_b_c", &[], &[("aB_c", "1"), ("aBC", "2")], Err("aBC")),
        ] {
            let meant = meant(key, &pairs(current), &pairs(sent));
            assert_eq!(meant.as_deref().map_err(String::as_str), expected, "{key} {current:?} {sent:?}");
        }
    }
}
