//! Map keys in the paths of field masks.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{MapKey, Value};

/// Parses a key, which is the last step of a path. `None` if it is malformed.
pub fn read(text: &str) -> Option<String> {
    let Some(escaped) = text.strip_prefix('`') else {
        let is_plain = !text.is_empty() && !text.contains(['.', '`']);
        return is_plain.then(|| text.to_owned());
    };
    let escaped = escaped.strip_suffix('`')?;
    let key = escaped.replace("``", "`");
    let doubled = escaped.matches("``").count();
    let is_closed_early = escaped.matches('`').count() != 2 * doubled;
    (!key.is_empty() && !is_closed_early).then_some(key)
}

/// Formats a key as the last step of a path: in backticks if it has a dot or a backtick.
pub fn quoted(key: &str) -> String {
    match key.contains(['.', '`']) {
        true => format!("`{}`", key.replace('`', "``")),
        false => key.to_owned(),
    }
}

/// Converts a reflected map of strings.
pub fn texts(pairs: &HashMap<MapKey, Value>) -> BTreeMap<String, String> {
    let text = |(key, value): (&MapKey, &Value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned()));
    pairs.iter().filter_map(text).collect()
}

/// Resolves the key of a path, which ProtoJSON may have converted from a key with capitals. Returns `key` itself; or
/// that other key, if its pair alone is sent and differs from the current one.
///
/// # Errors
/// If both are possible: the other key.
pub fn resolve(
    key: &str,
    current: &BTreeMap<String, String>,
    sent: &BTreeMap<String, String>,
) -> Result<String, String> {
    let is_twin = |other: &&String| *other != key && in_json(other, key);
    let sent_twins: Vec<&String> = sent.keys().filter(is_twin).collect();
    let Some(twin) = sent_twins.first().copied().or_else(|| current.keys().find(is_twin)) else {
        return Ok(key.to_owned());
    };
    let stays = |twin: &&String| sent.get(*twin) == current.get(*twin);
    match (sent.contains_key(key), current.contains_key(key)) {
        // The other pairs are sent unchanged, or not at all.
        (true, _) if sent_twins.iter().all(stays) => Ok(key.to_owned()),
        (false, exists) if sent_twins.len() == 1 && !(exists && stays(&twin)) => Ok(twin.clone()),
        _ => Err(twin.clone()),
    }
}

/// True if ProtoJSON converts a mask path with this key to `path`. Some libraries convert ASCII capitals only.
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
    fn read_is_the_inverse_of_quoted() {
        for key in ["desk", "my_key", "a.b", "a`b", "`", "a b", "Ə"] {
            assert_eq!(read(&quoted(key)).as_deref(), Some(key));
        }
    }

    #[test]
    fn resolve_returns_the_key_or_its_twin_in_json() {
        for (key, current, sent, expected) in [
            // No other key converts to it.
            ("my_key", &[][..], &[][..], Ok("my_key")),
            ("my_key", &[("my_key", "1")], &[("other", "2")], Ok("my_key")),
            ("mykey", &[("myKey", "1")], &[("myKey", "2")], Ok("mykey")),
            ("my_key", &[("my_Key", "1")], &[("mykey", "2")], Ok("my_key")),
            // Only the other key is possible.
            ("my_key", &[], &[("myKey", "2")], Ok("myKey")),
            ("my_key", &[("myKey", "1")], &[("myKey", "2")], Ok("myKey")),
            ("_my_key", &[], &[("MyKey", "2")], Ok("MyKey")),
            ("état_major", &[], &[("étatMajor", "2")], Ok("étatMajor")),
            ("_état", &[], &[("État", "2")], Ok("État")),
            // The named key is sent, and the other stays as it is.
            ("my_key", &[("myKey", "1")], &[("my_key", "2")], Ok("my_key")),
            ("my_key", &[("myKey", "1"), ("my_key", "1")], &[("myKey", "1"), ("my_key", "2")], Ok("my_key")),
            ("my_key", &[("myKey", "3"), ("my_key", "4")], &[("myKey", "9")], Ok("myKey")),
            ("my_key", &[("my_key", "3")], &[("myKey", "3")], Ok("myKey")),
            // Both are possible.
            ("my_key", &[("myKey", "9"), ("my_key", "4")], &[("myKey", "9")], Err("myKey")),
            ("my_key", &[("myKey", "3"), ("my_key", "4")], &[("myKey", "9"), ("my_key", "4")], Err("myKey")),
            ("my_key", &[("myKey", "3"), ("my_key", "4")], &[], Err("myKey")),
            ("my_key", &[("myKey", "3")], &[], Err("myKey")),
            ("a_b_c", &[], &[("aB_c", "1"), ("aBC", "2")], Err("aBC")),
        ] {
            let resolved = resolve(key, &pairs(current), &pairs(sent));
            assert_eq!(resolved.as_deref().map_err(String::as_str), expected, "{key} {current:?} {sent:?}");
        }
    }
}
