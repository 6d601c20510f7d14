//! Names of syllables: Chinese names in Wade-Giles and Pinyin, Korean names in their many romanisations. Syllables are
//! compared whole: there, a letter more is another name.

use super::super::{
    fold::Script,
    name::{Name, NameToken},
};

/// True if the names have the same syllables in an order that such names have: the family name first or last.
pub fn are_rotations(a: &Name, b: &Name) -> bool {
    let text = |tokens: &[&NameToken]| -> String { tokens.iter().map(|token| letters(token)).collect() };
    let whole = text(&a.tokens.iter().collect::<Vec<_>>());
    rotations(b).any(|rotation| text(&rotation) == whole)
}

fn letters(token: &NameToken) -> &str {
    if token.script == Script::Han { &token.expanded } else { &token.text }
}

fn rotations(name: &Name) -> impl Iterator<Item = Vec<&NameToken>> {
    let count = name.tokens.len();
    (0..count).map(move |from| (0..count).map(|at| &name.tokens[(from + at) % count]).collect())
}

/// True if the names are one Chinese name, of which one may be in Wade-Giles.
pub fn are_chinese_spellings(a: &Name, b: &Name) -> bool {
    let is_plain = |name: &Name| {
        name.tokens.iter().all(|token| token.text.is_ascii() || token.script == Script::Han) && name.tokens.len() <= 6
    };
    if !is_plain(a) || !is_plain(b) || a.tokens.len().max(b.tokens.len()) < 3 {
        return false;
    }
    let reads_as = |wade: &Name, pinyin: &Name| {
        rotations(pinyin).any(|rotation| {
            let text: String = rotation.iter().map(|token| letters(token)).collect();
            wade.tokens.len() >= 3 && matches_readings(&wade.tokens, &text)
        })
    };
    reads_as(a, b) || reads_as(b, a)
}

/// True if the syllables can be read as the text in Pinyin.
fn matches_readings(syllables: &[NameToken], text: &str) -> bool {
    let Some((first, rest)) = syllables.split_first() else { return text.is_empty() };
    readings(letters(first))
        .iter()
        .any(|reading| text.strip_prefix(reading.as_str()).is_some_and(|text| matches_readings(rest, text)))
}

/// The readings of a syllable in Pinyin: itself, and those of Wade-Giles, whose apostrophes are often left out.
fn readings(syllable: &str) -> Vec<String> {
    const INITIALS: [(&str, &[&str]); 9] = [
        ("ch", &["zh", "ch", "j", "q"]),
        ("hs", &["x"]),
        ("ts", &["z", "c"]),
        ("tz", &["z", "c"]),
        ("ss", &["s"]),
        ("p", &["b", "p"]),
        ("t", &["d", "t"]),
        ("k", &["g", "k"]),
        ("j", &["r"]),
    ];
    const FINALS: [(&str, &[&str]); 16] = [
        ("iung", &["iong"]),
        ("ung", &["ong"]),
        ("ieh", &["ie"]),
        ("ueh", &["ue"]),
        ("ien", &["ian"]),
        ("ih", &["i"]),
        ("eh", &["e"]),
        ("uei", &["ui"]),
        ("uo", &["uo", "e"]),
        ("eng", &["eng"]),
        ("en", &["en", "an"]),
        ("iu", &["iu"]),
        ("eou", &["iu"]),
        ("o", &["e", "uo", "o"]),
        ("u", &["i", "u"]),
        ("e", &["i", "e"]),
    ];
    let mut readings = vec![syllable.to_owned()];
    match syllable {
        "yu" => readings.push("you".into()),
        "yen" => readings.push("yan".into()),
        "yeh" => readings.push("ye".into()),
        "i" => readings.push("yi".into()),
        "lee" => readings.push("li".into()),
        "erh" => readings.push("er".into()),
        "jeou" => readings.push("jiu".into()),
        _ => {}
    }
    let initial = INITIALS.iter().find_map(|(initial, pinyin)| Some((syllable.strip_prefix(initial)?, *pinyin)));
    let at = syllable.find(|c| "aeiou".contains(c)).unwrap_or(0);
    let (rest, initials): (&str, Vec<&str>) = match initial {
        Some((rest, pinyin)) => (rest, pinyin.to_vec()),
        None => (&syllable[at..], vec![&syllable[..at]]),
    };
    let finals = FINALS.iter().find(|(last, _)| *last == rest).map(|(_, pinyin)| *pinyin);
    for initial in initials {
        readings.push(format!("{initial}{rest}"));
        readings.extend(finals.into_iter().flatten().map(|last| format!("{initial}{last}")));
    }
    readings
}

/// A part of a Korean syllable: a consonant class, or the vowels that a spelling may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SyllablePart {
    Consonant(char),
    Vowel(u32),
}

/// True if the names are one Korean name, in Hangul or in any romanisation.
pub fn are_korean_spellings(a: &Name, b: &Name) -> bool {
    let parts = |tokens: &[&NameToken]| -> Option<Vec<SyllablePart>> {
        let mut parts = Vec::new();
        tokens.iter().try_for_each(|token| push_korean(token, &mut parts))?;
        Some(parts)
    };
    let Some(whole) = parts(&a.tokens.iter().collect::<Vec<_>>()).filter(|parts| parts.len() >= 5) else {
        return false;
    };
    let is_equal = |parts: &[SyllablePart]| {
        parts.len() == whole.len()
            && parts.iter().zip(&whole).all(|pair| match pair {
                (SyllablePart::Consonant(left), SyllablePart::Consonant(right)) => left == right,
                (SyllablePart::Vowel(left), SyllablePart::Vowel(right)) => left & right != 0,
                _ => false,
            })
    };
    rotations(b).filter_map(|rotation| parts(&rotation)).any(|parts| is_equal(&parts))
}

/// The vowels of Korean, as bits in the order of Unicode. The vowels eo and yeo, which are also written u and yu, have
/// the bits 21 and 22 too, so that o and u stay two vowels.
const VOWEL_SPELLINGS: [(&str, &[u32]); 33] = [
    ("yeo", &[6, 22]),
    ("yae", &[3]),
    ("wae", &[10, 15]),
    ("weo", &[14]),
    ("you", &[6, 12, 17, 22]),
    ("yoo", &[17]),
    ("yuh", &[6, 22]),
    ("eui", &[19]),
    ("eu", &[18]),
    ("eo", &[4, 21]),
    ("ae", &[1]),
    ("ai", &[1]),
    ("ay", &[1]),
    ("oo", &[13, 18]),
    ("ou", &[4, 8, 13, 21]),
    ("ow", &[8]),
    ("oe", &[11]),
    ("oi", &[11]),
    ("wa", &[9]),
    ("we", &[11, 15]),
    ("wi", &[16]),
    ("wo", &[14]),
    ("ui", &[19, 16]),
    ("ee", &[20, 19]),
    ("ya", &[2]),
    ("ye", &[7, 6]),
    ("yo", &[12, 6]),
    ("yu", &[17, 22]),
    ("a", &[0]),
    ("e", &[5, 1]),
    ("i", &[20]),
    ("o", &[8, 4]),
    ("u", &[13, 18, 21]),
];

const CONSONANT_SPELLINGS: [(&str, char); 22] = [
    ("tch", 'c'),
    ("ch", 'c'),
    ("kh", 'k'),
    ("kk", 'k'),
    ("gg", 'k'),
    ("ph", 'p'),
    ("th", 't'),
    ("tt", 't'),
    ("sh", 's'),
    ("ss", 's'),
    ("jj", 'c'),
    ("k", 'k'),
    ("g", 'k'),
    ("p", 'p'),
    ("b", 'p'),
    ("t", 't'),
    ("d", 't'),
    ("j", 'c'),
    ("s", 's'),
    ("l", 'r'),
    ("r", 'r'),
    ("z", 'c'),
];

fn push_korean(token: &NameToken, parts: &mut Vec<SyllablePart>) -> Option<()> {
    if token.script == Script::Hangul {
        return token.text.chars().try_for_each(|c| push_hangul(c, parts));
    }
    if token.script != Script::Latin {
        return None;
    }
    let text = match token.text.as_str() {
        "lee" | "yi" | "li" | "rhee" | "i" | "rhie" | "ee" => "ri",
        "noh" | "no" | "roh" => "ro",
        "park" | "bark" => "pak",
        "paik" | "back" => "paek",
        "yim" | "im" | "lim" => "rim",
        "yoo" | "you" | "yu" | "ryoo" | "lyu" => "ryu",
        "choi" | "choy" => "choe",
        "yang" => "ryang",
        "woo" => "u",
        "oh" => "o",
        "moon" => "mun",
        "yun" | "youn" => "yoon",
        "young" => "yeong",
        "sun" => "seon",
        "hee" => "hui",
        "wha" => "hwa",
        "whan" => "hwan",
        "lyong" | "yong" => "ryong",
        text => text,
    };
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((spelling, vowels)) = VOWEL_SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
            parts.push(SyllablePart::Vowel(vowels.iter().fold(0, |set, vowel| set | 1 << vowel)));
            rest = &rest[spelling.len()..];
            // A silent h after a vowel: "Ahn".
            let after = rest.strip_prefix('h').filter(|after| !after.starts_with(|c| "aeiouyw".contains(c)));
            rest = after.unwrap_or(rest);
            continue;
        }
        if let Some((spelling, class)) = CONSONANT_SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
            parts.push(SyllablePart::Consonant(*class));
            rest = &rest[spelling.len()..];
            continue;
        }
        let c = rest.chars().next().filter(|c| matches!(c, 'n' | 'm' | 'h'))?;
        parts.push(SyllablePart::Consonant(c));
        rest = &rest[1..];
    }
    Some(())
}

fn push_hangul(c: char, parts: &mut Vec<SyllablePart>) -> Option<()> {
    let index = u32::from(c).checked_sub(0xac00).filter(|index| *index < 11_172)?;
    let initial = ['k', 'k', 'n', 't', 't', 'r', 'm', 'p', 'p', 's', 's', ' ', 'c', 'c', 'c', 'k', 't', 'p', 'h'];
    let initial = initial[(index / 588) as usize];
    if initial != ' ' {
        parts.push(SyllablePart::Consonant(initial));
    }
    let vowel = index % 588 / 28;
    let written_u = match vowel {
        4 => 1 << 21,
        6 => 1 << 22,
        _ => 0,
    };
    parts.push(SyllablePart::Vowel(1 << vowel | written_u));
    match index % 28 {
        0 | 27 => {}
        1..=3 | 24 => parts.push(SyllablePart::Consonant('k')),
        4..=6 => parts.push(SyllablePart::Consonant('n')),
        7 | 19 | 20 | 22 | 23 | 25 => parts.push(SyllablePart::Consonant('t')),
        8..=15 => parts.push(SyllablePart::Consonant('r')),
        16 => parts.push(SyllablePart::Consonant('m')),
        17 | 18 | 26 => parts.push(SyllablePart::Consonant('p')),
        _ => parts.extend([SyllablePart::Consonant('n'), SyllablePart::Consonant('k')]),
    }
    Some(())
}
