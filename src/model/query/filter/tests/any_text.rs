//! Properties of parsing, on random text.

use proptest::prelude::*;

use super::*;

/// Well-formed filters with many combinations of white space, brackets, quotes and signs.
fn filters() -> impl Strategy<Value = String> {
    let comparison = prop::sample::select(vec![
        "topic=a",
        "place.region\t!=  AZ",
        "topic = 'AND (\\' OR '",
        "topic = \"-\\\"NOT (\"",
        "topic = -AND",
        "topic = -",
        "topic = ORDER",
        "date >= 2020-09",
        "topic = 2.5",
        "topic = «ж»",
        "between(AZ,  'RU')",
        "participant((region = RU  AND (role:\"HOST\")))",
    ])
    .prop_map(str::to_owned);
    comparison.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(a, b)| format!("{a}  AND {b}")),
            two.clone().prop_map(|(a, b)| format!("({a})\nOR ( {b} )")),
            two.prop_map(|(a, b)| format!("{a} {b}")),
            inner.clone().prop_map(|a| format!("NOT  ({a})")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

proptest! {
    #[test]
    fn error_position_is_right_anywhere_in_the_filter(
        before in filters(),
        after in filters(),
        sign in prop::sample::select(vec!["", "-", "NOT ", "NOT (-", "(("]),
    ) {
        let brackets = ")".repeat(sign.matches('(').count());
        for wrong in ["bogus = 1", "region = bogus", "topic < bogus", "bogus"] {
            let text = format!("{before} AND ({sign}{wrong}{brackets} OR ({after}))");
            let at = before.len() + " AND (".len() + sign.len();
            let at = at + match wrong {
                "region = bogus" => "region = ".len(),
                "topic < bogus" => "topic ".len(),
                _ => 0,
            };
            prop_assert_eq!(rejected(&text).position(), Some(at), "{}", text);
        }
        let both = format!("{before} AND {after}");
        prop_assert_eq!(meetings(&both).err(), None);
    }

    #[test]
    fn parse_never_panics_or_points_outside_the_text(
        text in prop_oneof![".{0,60}", "([a-z]{1,3}|kind|date|AND|OR|NOT|[ ().,=<>!:\"'\\\\*-]){0,30}"],
    ) {
        if let Err(error) = meetings(&text) {
            let position = error.position().unwrap_or_default();
            prop_assert!(text.is_char_boundary(position), "{error}");
            prop_assert!(error.to_string().chars().count() < 600);
        }
    }

    #[test]
    fn every_text_parses_when_quoted(text in "[^\0]{0,40}") {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        prop_assert_eq!(meetings(&format!("topic = \"{quoted}\"")), Ok(topic(&text)));
    }
}
