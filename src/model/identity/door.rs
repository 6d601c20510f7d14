//! The door: the participant that a story means is the one with an equal door key, or with a shared external id.
//! Nothing else counts here, so the result does not depend on the order in which stories arrive.

use std::collections::BTreeSet;

use crate::{
    model::text::{
        letters::{Clusters, compose, remove_accents},
        names,
    },
    pb::{ExternalId, Participant},
};

/// The door key of a name: a name key (`names::key`) without accents, spaces, hyphens, apostrophes and dots, in which
/// spellings of one letter are alike: İ, I, ı and i; ё and е; Arabic and Persian ya, kaf and alef. Empty only if the
/// text has no visible character: a name of dots alone keeps its name key. Idempotent.
///
/// The database stores these keys. A change of the result requires a new `letters::VERSION`.
pub fn name_key(text: &str) -> String {
    if text.is_ascii() {
        let kept = text.bytes().filter(|byte| byte.is_ascii_graphic() && !is_separator(char::from(*byte)));
        let key: String = kept.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        return if key.is_empty() { names::key(text) } else { key };
    }
    let mut key = without_separators(text);
    // A separator that is gone may leave marks beside each other, which then change places. One more round suffices
    // for all but odd texts.
    for _ in 0..MAX_ROUNDS {
        let next = without_separators(&key);
        if next == key {
            break;
        }
        key = next;
    }
    if key.is_empty() { names::key(text) } else { key }
}

const MAX_ROUNDS: usize = 4;

fn without_separators(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    let mut letters = Vec::new();
    for cluster in Clusters::of(text) {
        cluster.fold(&mut letters);
        remove_accents(&mut letters);
        letters.retain(|letter| !is_separator(letter.c) && !matches!(letter.c, '\u{653}'..='\u{655}' | '\u{640}'));
        for letter in &mut letters {
            letter.c = common_form(letter.c);
        }
        compose(&mut letters);
        key.extend(letters.iter().map(|letter| letter.c));
    }
    key
}

/// The letter that stands for its variants.
fn common_form(c: char) -> char {
    match c {
        'ı' => 'i',
        '\u{649}' | '\u{6cc}' | '\u{6d2}' => '\u{64a}',
        '\u{6a9}' | '\u{6aa}' => '\u{643}',
        '\u{671}'..='\u{673}' | '\u{675}' => '\u{627}',
        c => c,
    }
}

/// True for spaces, hyphens, apostrophes and dots.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '-' | '\u{58a}' | '\u{5be}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2e3a}' | '\u{2e3b}' | '\u{30a0}'
            | '\'' | '`' | '\u{b4}' | '\u{2b9}'..='\u{2bf}' | '\u{2c8}' | '\u{2ca}'..='\u{2cb}' | '\u{559}' | '\u{55a}'
            | '\u{5f3}' | '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{a78b}'..='\u{a78c}'
            | '.' | '\u{b7}' | '\u{2022}' | '\u{2024}' | '\u{2027}' | '\u{3002}' | '\u{30fb}')
}

/// The door keys of a participant's display name and other names. Empty keys are left out.
pub fn door_keys(participant: &Participant) -> BTreeSet<String> {
    let others = participant.names.iter().map(|name| name.text.as_str());
    let mut keys: BTreeSet<_> =
        std::iter::once(participant.display_name.as_str()).chain(others).map(name_key).collect();
    keys.remove("");
    keys
}

/// True if `stored` is the participant that `sent` describes: the kinds are equal, and the two share an external id, or
/// have a door key in common and the same region, and no contradicting external ids. An unset region is a value of
/// its own.
pub fn may_match(stored: &Participant, sent: &Participant) -> bool {
    stored.kind == sent.kind
        && (shares_an_id(&stored.external_ids, &sent.external_ids)
            || (stored.region_code == sent.region_code
                && !contradicts_on_ids(&stored.external_ids, &sent.external_ids)
                && !door_keys(stored).is_disjoint(&door_keys(sent))))
}

/// True if an external id is in both lists.
pub fn shares_an_id(a: &[ExternalId], b: &[ExternalId]) -> bool {
    a.iter().any(|id| b.contains(id))
}

/// True if both lists have ids in the same scheme, and none in common: another id in a catalogue is another identity.
pub fn contradicts_on_ids(a: &[ExternalId], b: &[ExternalId]) -> bool {
    a.iter().any(|id| {
        let in_scheme = |other: &&ExternalId| other.scheme == id.scheme;
        b.iter().any(|other| in_scheme(&other))
            && !a.iter().filter(in_scheme).any(|id| b.iter().filter(in_scheme).any(|other| other.value == id.value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pb::participant::Kind;

    fn participant(name: &str, region: &str, wikidata: &[&str]) -> Participant {
        let id = |value: &&str| ExternalId { scheme: "wikidata".into(), value: (*value).into() };
        let mut participant = Participant {
            display_name: name.into(),
            region_code: region.into(),
            external_ids: wikidata.iter().map(id).collect(),
            ..Default::default()
        };
        participant.set_kind(Kind::Person);
        participant
    }

    #[test]
    fn name_key_is_equal_for_spellings_that_never_differ() {
        for (a, b) in [
            ("Kang Kyung-wha", "KANG Kyung Wha"),
            ("Ban Ki-moon", "Ban Ki Moon"),
            ("S. M. Krishna", "S.M. Krishna"),
            ("Siale\u{2bb}ataonga Tu\u{2019}ivakano", "Siale'ataonga Tu'ivakano"),
            ("İlham", "Ilham"),
            ("Nurten Yılmaz", "Nurten YILMAZ"),
            ("Фёдор Алёшин", "Федор Алешин"),
            ("أحمد", "احمد"),
            ("مُحَمَّد", "محمد"),
            ("علی", "علي"),
            ("کريم", "كريم"),
            ("Ｋａｒｉｍ", "karim"),
            ("Ángel", "Angel"),
            ("ジョージ・ミッチェル", "ジョージ ミッチェル"),
        ] {
            assert_eq!(name_key(a), name_key(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn name_key_differs_for_different_names() {
        for (a, b) in [("Kərim", "Kerim"), ("か", "が"), ("John 2", "John 3"), ("मोदी", "मदी"), ("й", "и")]
        {
            assert_ne!(name_key(a), name_key(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn name_key_is_empty_only_for_an_invisible_name() {
        assert_eq!(name_key("\u{200b} \t"), "");
        for name in ["...", "-", "\u{1f642}", "'", "\u{30fb}", "?", "7"] {
            assert!(!name_key(name).is_empty(), "{name:?}");
        }
    }

    #[test]
    fn may_match_takes_an_unset_region_for_a_value() {
        assert!(may_match(&participant("A B", "", &[]), &participant("a-b", "", &[])));
        assert!(may_match(&participant("A B", "AZ", &[]), &participant("a-b", "AZ", &[])));
        assert!(!may_match(&participant("A B", "AZ", &[]), &participant("A B", "", &[])));
        assert!(!may_match(&participant("A B", "", &[]), &participant("A B", "RU", &[])));
        assert!(!may_match(&participant("A B", "", &[]), &participant("A C", "", &[])));
    }

    #[test]
    fn may_match_refuses_another_id_in_the_same_catalogue() {
        assert!(may_match(&participant("A", "", &["Q1"]), &participant("A", "", &[])));
        assert!(!may_match(&participant("A", "", &["Q1"]), &participant("A", "", &["Q2"])));
    }

    #[test]
    fn may_match_accepts_a_shared_id_under_any_name_and_region() {
        assert!(may_match(&participant("A", "AZ", &["Q1", "Q2"]), &participant("B", "", &["Q2"])));
    }

    #[test]
    fn may_match_refuses_another_kind() {
        let mut organization = participant("A", "", &["Q1"]);
        organization.set_kind(Kind::Organization);
        assert!(!may_match(&organization, &participant("A", "", &["Q1"])));
    }

    proptest! {
        #[test]
        fn name_key_is_idempotent(text in any::<String>()) {
            let once = name_key(&text);
            prop_assert_eq!(name_key(&once), once);
        }

        #[test]
        fn name_key_is_a_function_of_the_name_key(text in any::<String>()) {
            prop_assert_eq!(name_key(&names::key(&text)), name_key(&text));
        }
    }
}
