//! Random quotes of the real stories: in another spelling they are stored in the words of the text, and with other words
//! they are refused.

use std::{collections::BTreeSet, fs::File, io::Read, sync::LazyLock};

use flate2::read::GzDecoder;

use super::*;

const ROUNDS: usize = 1_000;

/// The texts of the real stories.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/stories.ndjson.gz");
    let mut lines = String::new();
    GzDecoder::new(File::open(path).expect("the file exists")).read_to_string(&mut lines).expect("gzip");
    let text = |line: &str| {
        let story: serde_json::Value = serde_json::from_str(line).expect("JSON");
        canonical::composed(story["article"]["text"].as_str().unwrap_or_default()).into_owned()
    };
    lines.lines().map(text).filter(|text| text.chars().count() > 200).collect()
});

/// A sequence of pseudo-random numbers (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const QUOTATION_MARKS: &[&str] = &["'", "’", "ʼ", "`", "´", "\"", "“", "”", "„", "«", "»", "「", "''", "＂", "′"];
const DASHES: &[&str] = &["-", "–", "—", "−", "‐", "‑", "--", "－"];
const SPACES: &[&str] = &[" ", "\u{a0}", "  ", "\t", "\n", "\r\n", "\u{2009}", "\u{3000}", "\u{2028}"];
const INVISIBLE: &[&str] = &["\u{ad}", "\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}"];

fn is_mark(c: char) -> bool {
    matches!(c, '\'' | '"' | '`' | '´' | '‘' | '’' | '“' | '”' | '„' | '«' | '»' | '-' | '–' | '—')
}

/// The words in another spelling.
fn respelled(words: &str, chance: &mut Chance) -> String {
    let mut out = String::new();
    let mut chars = words.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('f', Some('i')) if chance.one_in(2) => {
                chars.next();
                out.push('ﬁ');
            }
            ('\'' | '"' | '`' | '´' | '‘' | '’' | '“' | '”' | '„' | '«' | '»', _) => {
                out.push_str(chance.of(QUOTATION_MARKS))
            }
            ('-' | '–' | '—', _) => out.push_str(chance.of(DASHES)),
            (c, _) if c.is_whitespace() => out.push_str(chance.of(SPACES)),
            ('!'..='~', _) if chance.one_in(12) => out.extend(char::from_u32(c as u32 + 0xfee0)),
            // In lower case, the dotless i is another letter.
            (c, _) if c != 'ı' && chance.one_in(4) => out.extend(c.to_uppercase()),
            (c, _) if c.is_ascii() && chance.one_in(4) => out.push(c.to_ascii_lowercase()),
            ('…', _) => out.push_str("..."),
            (c, _) => out.push(c),
        }
        if chance.one_in(10) {
            out.push_str(chance.of(INVISIBLE));
        }
    }
    if chance.one_in(3) {
        let space = chance.of(SPACES);
        out = format!("{space}{out}{space}");
    }
    out
}

/// A random passage that begins and ends with a letter or digit.
fn passage<'a>(text: &'a str, chance: &mut Chance) -> Option<&'a str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let start = chance.below(starts.len());
    let end = (start + 1 + chance.below(200)).min(starts.len() - 1);
    let words = text.get(starts[start]..starts[end])?.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    Some(words).filter(|words| !words.is_empty())
}

/// A text without case, and with one form of white space and of marks: a rule of the test itself.
fn plain(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| match c {
            '-' | '–' | '—' => '-',
            c if is_mark(c) => '\'',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .flat_map(char::to_lowercase)
        .collect();
    let mut plain = String::new();
    for c in spaced.replace('…', "...").chars() {
        if c.is_alphanumeric() || c == '.' || !plain.ends_with(c) {
            plain.push(c);
        }
    }
    plain
}

fn cited(quote: String, start: i32, end: i32) -> Evidence {
    Evidence { field: "title".into(), quote, start, end, ..Default::default() }
}

#[test]
fn respelled_quotes_of_real_stories_are_stored_in_the_words_of_the_text() {
    let mut chance = Chance(1);
    let mut repaired = 0;
    while repaired < ROUNDS {
        let text = &TEXTS[chance.below(TEXTS.len())];
        let Some(words) = passage(text, &mut chance) else { continue };
        let quote = respelled(words, &mut chance);
        if text.contains(&quote) {
            continue;
        }
        let byte = words.as_ptr() as usize - text.as_ptr() as usize;
        let start = text[..byte].chars().count() as i32;
        let end = start + words.chars().count() as i32;
        let (plain_text, plain_words) = (plain(text), plain(words));
        let is_unique = plain_text.find(&plain_words) == plain_text.rfind(&plain_words);
        let sent = if is_unique { cited(quote, 0, 0) } else { cited(quote, start, end) };
        let (mut evidence, mut out) = ([sent.clone()], Violations::default());
        check(&mut evidence, &account(), Some(&IndexedText::new(text)), &Path::ROOT, &mut out);
        assert!(out.is_empty(), "{sent:?} of {words:?}: {out:?}");
        let mut expected = cited(words.to_owned(), start, end);
        expected.set_match(Match::Repaired);
        assert_eq!(evidence, [expected], "{sent:?}");
        repaired += 1;
    }
}

/// The words with one change, and the name of the kind of change.
fn changed(words: &str, chance: &mut Chance) -> Option<(String, &'static str)> {
    let mut list: Vec<&str> = words.split(' ').collect();
    let at = chance.below(list.len());
    let chars: Vec<char> = words.chars().collect();
    let replace = |at: usize, by: &str| {
        let mut out: String = chars[..at].iter().collect();
        out.push_str(by);
        out.extend(&chars[at + 1..]);
        out
    };
    let pick = |chance: &mut Chance, is_wanted: fn(char) -> bool| {
        let wanted: Vec<usize> = (0..chars.len()).filter(|at| is_wanted(chars[*at])).collect();
        (!wanted.is_empty()).then(|| wanted[chance.below(wanted.len())])
    };
    Some(match chance.below(8) {
        0 => {
            let at = pick(chance, |c| c.is_ascii_lowercase())?;
            let other = char::from(b'a' + chance.below(26) as u8);
            (replace(at, &other.to_string()), "a letter is changed")
        }
        1 if list.len() > 2 => {
            list.remove(at);
            (list.join(" "), "a word is dropped")
        }
        2 => {
            list.insert(at, chance.of(&["not", "never", "Baku", "the", "7"]));
            (list.join(" "), "a word is added")
        }
        3 if at > 0 => {
            list.swap(at - 1, at);
            (list.join(" "), "words are swapped")
        }
        4 => {
            let at = pick(chance, |c| c.is_ascii_digit())?;
            (replace(at, &chance.below(10).to_string()), "a digit is changed")
        }
        5 => {
            let at =
                pick(chance, |c| matches!(c, ',' | '.' | '\'' | '’' | '-' | '–' | '“' | '”' | '"' | ':' | '(' | ')'))?;
            (replace(at, ""), "a mark is dropped")
        }
        6 => {
            let at = pick(chance, |c| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'c' | 's'))?;
            let accent = ["\u{301}", "\u{308}", "\u{327}", "\u{30c}"][chance.below(4)];
            (replace(at, &format!("{}{accent}", chars[at])), "an accent is added")
        }
        _ => {
            let at = pick(chance, |c| !c.is_ascii() && c.is_alphabetic())?;
            let bare: String =
                unicode_normalization::UnicodeNormalization::nfd(std::iter::once(chars[at])).take(1).collect();
            (replace(at, &bare), "an accent is dropped")
        }
    })
}

#[test]
fn quotes_of_real_stories_with_other_words_are_refused() {
    let mut chance = Chance(2);
    let (mut refused, mut kinds) = (0, BTreeSet::new());
    while refused < ROUNDS {
        let text = &TEXTS[chance.below(TEXTS.len())];
        let Some(words) = passage(text, &mut chance) else { continue };
        let Some((quote, kind)) = changed(words, &mut chance) else { continue };
        let quote = canonical::composed(&quote).into_owned();
        // The change may have made other words of the text.
        if plain(text).contains(&plain(&quote)) {
            continue;
        }
        let spelled = if chance.one_in(2) { respelled(&quote, &mut chance) } else { quote };
        let (mut evidence, mut out) = ([cited(spelled, 0, 0)], Violations::default());
        check(&mut evidence, &account(), Some(&IndexedText::new(text)), &Path::ROOT, &mut out);
        let reasons: Vec<_> = out.iter().map(|violation| violation.reason).collect();
        assert_eq!(reasons, [ErrorReason::EvidenceNotFound], "{kind}: {evidence:?} of {words:?}");
        refused += 1;
        kinds.insert(kind);
    }
    assert!(kinds.len() >= 7, "{kinds:?}");
}

#[test]
fn quotes_that_are_not_in_a_long_text_are_refused_in_bounded_time() {
    let text = "ﬁve “words” – ".repeat(1024 * 1024 / 20);
    let text = IndexedText::new(&text);
    let quotes = (0..5_000).map(|number| cited(format!("Five words, {number}"), 0, 0));
    let mut evidence: Vec<_> = quotes.collect();
    let (before, mut out) = (std::time::Instant::now(), Violations::default());
    check(&mut evidence, &account(), Some(&text), &Path::ROOT, &mut out);
    assert_eq!(out.iter().count() + out.omitted(), 5_000);
    // About a second in a release build; the limit leaves room for a debug build on a busy machine.
    assert!(before.elapsed().as_secs() < 60, "{:?}", before.elapsed());
}
