//! Random lines for an import, many of which depend on earlier ones.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::import_dry_run::{meeting_line, person};
use crate::support::program::Ran;

const NAMES: [&str; 8] = ["Aliyev", "Gul", "Sargsyan", "Merkel", "Obama", "Xi", "Dzurinda", "Kufuor"];

/// Numbers that look random (a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit).expect("a small number")
    }

    fn person(&mut self) -> Value {
        let mut more = json!({});
        let name = NAMES[self.below(8)];
        match self.below(8) {
            0 => more["names"] = json!([{"text": NAMES[self.below(8)]}]),
            1 => more["names"] = json!([{"text": name.to_uppercase()}]),
            2 => more["externalIds"] = json!([{"scheme": "wikidata", "value": format!("Q{}", self.below(9))}]),
            3 => more["regionCode"] = json!(""),
            4 => more["externalIds"] = json!([{"scheme": "isni", "value": name}]),
            _ => {}
        }
        person(name, &more)
    }

    fn meeting_ids(&mut self) -> Value {
        let values: BTreeSet<usize> = (0..=self.below(2)).map(|_| self.below(12)).collect();
        values.iter().map(|value| json!({"scheme": "register", "value": value.to_string()})).collect()
    }

    /// Gives external ids to the meeting of a story.
    fn add_ids(&mut self, story: &mut Value) {
        story["reports"][0]["account"]["externalIds"] = self.meeting_ids();
    }

    /// Adds a second report: an equal one, or one that may have the same external ids.
    fn repeat(&mut self, story: &mut Value) {
        if self.below(2) == 0 {
            self.add_ids(story);
        }
        let mut second = story["reports"][0].clone();
        second["key"] = json!("s");
        match self.below(4) {
            0 => second["account"]["title"] = json!("Further talks"),
            1 => second["account"]["externalIds"] = self.meeting_ids(),
            _ => {}
        }
        story["reports"].as_array_mut().expect("a list").push(second);
    }

    fn line(&mut self) -> String {
        let uri = format!("urn:{}", self.below(120));
        let people: Vec<Value> = (0..=self.below(2)).map(|_| self.person()).collect();
        let day = u32::try_from(self.below(6) + 1).expect("a day");
        let mut story: Value = serde_json::from_str(&meeting_line(&uri, &people, day)).expect("a story");
        match self.below(20) {
            0 => story["article"]["title"] = json!("Another title"),
            1 => story["reports"] = json!([]),
            2 => story["reports"][0]["evidence"] = json!([{"field": "kind", "quote": "talks"}]),
            3 => return "{\"article\": 1}".to_owned(),
            4 => story["reports"] = json!([{"account": {"kind": "TALKS"}}]),
            5 => story["article"]["alternateUris"] = json!([format!("urn:{}", self.below(120))]),
            6 => story["reports"][0]["prominence"] = json!("BACKGROUND"),
            7 => {
                story["article"]["text"] = json!(format!("They met on {day} September."));
                story["article"]["textRights"] = json!("FULL_TEXT");
                story["reports"][0]["evidence"] = json!([{"field": "date", "quote": format!("{day} September")}]);
            }
            8..=11 => self.add_ids(&mut story),
            12 | 13 => self.repeat(&mut story),
            14 => drop(story["reports"][0]["account"]["participations"][0]["presence"].take()),
            15 => {
                let account = &mut story["reports"][0]["account"];
                account["statements"] = json!([{"speakers": ["0"], "text": "They spoke."}]);
                account["participations"][0]["presence"].take();
                story["participants"][0]["participant"]["kind"] = json!("ORGANIZATION");
            }
            _ => {}
        }
        story.to_string()
    }
}

/// The lines of a seed.
pub fn lines(seed: u64, count: usize) -> Vec<String> {
    let mut numbers = Numbers(seed);
    (0..count).map(|_| numbers.line()).collect()
}

/// The output of a command, with the ids in it numbered in their order. Warnings that name candidates are left out: which
/// ones they name depends on the stories that are written together.
pub fn anonymous(ran: &Ran) -> Vec<String> {
    let mut ids: HashMap<String, usize> = HashMap::new();
    let mut line = |line: &str| {
        let word = |word: &str| match word.split_once('/') {
            Some((collection, id)) if ["articles", "participants", "meetings", "reports"].contains(&collection) => {
                let (id, rest) = id.split_at_checked(36).unwrap_or((id, ""));
                let next = ids.len();
                format!("{collection}/{}{rest}", ids.entry(id.to_owned()).or_insert(next))
            }
            _ => word.to_owned(),
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    };
    let lines = ran.stderr.lines().filter(|line| !line.contains("may be the same event"));
    let lines: Vec<String> = lines.map(&mut line).collect();
    lines.into_iter().chain([ran.stdout.clone(), format!("{:?}", ran.code)]).collect()
}

/// Compares two lists of lines, and prints the first difference.
pub fn assert_same_lines(left: &[String], right: &[String], what: &str) {
    let first = left.iter().zip(right).position(|(left, right)| left != right).unwrap_or(left.len().min(right.len()));
    let near = |lines: &[String]| lines.iter().skip(first).take(3).cloned().collect::<Vec<_>>();
    assert!(left == right, "{what}: {:#?} or {:#?}", near(left), near(right));
}
