//! Near copies: texts that have most of their words in common, in the same order. They are reprints with another lead or
//! a shortened end.
//!
//! A text is compared by its shingles, the distinct runs of [`SHINGLE_WORDS`] words (A. Broder, "On the resemblance and
//! containment of documents", 1997). A sketch, the smallest hashes of them, finds candidates; whole sets decide.

use std::collections::VecDeque;

use unicode_normalization::char::is_combining_mark;

use crate::model::{article::TextHash, text::names};

/// Words of a shingle. In a script without spaces between words, each character counts as a word.
pub const SHINGLE_WORDS: usize = 5;

/// Words of the shortest text that can be a near copy, and of the shortest passage that near copies have in common.
/// Short notices of one author often differ in a name only.
pub const MIN_WORDS: usize = 40;

/// The shingles of a passage of [`MIN_WORDS`] words.
const MIN_COMMON: usize = MIN_WORDS - SHINGLE_WORDS + 1;

/// Minimum share of the shingles of the shorter text that the longer one has too.
pub const MIN_OVERLAP: f64 = 0.6;

/// Minimum share of the shingles of the longer text that the shorter one has too. A digest of several articles is no copy
/// of each of them.
pub const MIN_SHARE_OF_LONGER: f64 = 0.3;

/// Maximum number of keys of a sketch that are stored.
const STORED_KEYS: usize = 24;

/// Maximum number of keys that are searched for. The longer of two near copies has at most 1 / 0.3 times the shingles of
/// the shorter: its stored keys are among this many of the shorter one if they are common.
const SOUGHT_KEYS: usize = 80;

/// Two texts that are near copies of each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearCopy {
    /// The keys of the texts ([`super::text_key`]), in any order.
    pub texts: [TextHash; 2],
    /// The share of the shingles of the shorter text that both have.
    pub overlap: f32,
}

/// The distinct shingles of a text, as sorted hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shingles(Vec<u64>);

impl Shingles {
    /// The shingles of a text; `None` for a text of fewer than [`MIN_WORDS`] words.
    pub fn of(text: &str) -> Option<Self> {
        let mut last: VecDeque<u64> = VecDeque::with_capacity(SHINGLE_WORDS);
        let mut shingles = Vec::new();
        let mut count = 0;
        for_each_word(text, |word| {
            count += 1;
            if last.len() == SHINGLE_WORDS {
                last.pop_front();
            }
            last.push_back(hash(word));
            if last.len() == SHINGLE_WORDS {
                shingles.push(last.iter().fold(0, |sum, word| mix(sum ^ word)));
            }
        });
        shingles.sort_unstable();
        shingles.dedup();
        (count >= MIN_WORDS).then_some(Self(shingles))
    }

    /// The keys by which other texts find this one, if both are published in about this week.
    pub fn stored_keys(&self, week: i32) -> Vec<i64> {
        self.keys(STORED_KEYS, week).collect()
    }

    /// The keys by which this text finds others that are published in the same week, or in the one before or after it.
    pub fn sought_keys(&self, week: i32) -> Vec<i64> {
        [week - 1, week, week + 1].into_iter().flat_map(|week| self.keys(SOUGHT_KEYS, week)).collect()
    }

    fn keys(&self, most: usize, week: i32) -> impl Iterator<Item = i64> {
        // The same sentence in the articles of other weeks, such as an imprint, has other keys.
        let salt = mix(i64::from(week).cast_unsigned());
        self.0.iter().take(most).map(move |shingle| mix(shingle ^ salt).cast_signed())
    }

    /// The share of the shingles of the shorter text that both have, if the two are near copies.
    pub fn overlap(&self, other: &Self) -> Option<f32> {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common = 0;
        while let (Some(one), Some(two)) = (left.peek(), right.peek()) {
            let order = one.cmp(two);
            common += usize::from(order.is_eq());
            left.next_if(|_| order.is_le());
            right.next_if(|_| order.is_ge());
        }
        let share = |of: usize| common as f64 / of as f64;
        let (shorter, longer) = (self.0.len().min(other.0.len()), self.0.len().max(other.0.len()));
        let is_near = common >= MIN_COMMON && share(shorter) >= MIN_OVERLAP && share(longer) >= MIN_SHARE_OF_LONGER;
        is_near.then(|| share(shorter) as f32)
    }
}

/// True if a text has [`MIN_WORDS`] words.
pub fn has_min_words(text: &str) -> bool {
    let mut count = 0;
    for_each_word(text, |_| count += 1);
    count >= MIN_WORDS
}

/// Calls `each` with each word: a run of letters, digits and marks in its normalised form, or one character of a script
/// without spaces between words.
fn for_each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut key = String::new();
    for chunk in text.split_whitespace() {
        names::write_key(chunk, &mut key);
        let mut start = None;
        for (at, letter) in key.char_indices() {
            let is_word = letter.is_alphanumeric() || is_combining_mark(letter);
            let is_alone = is_unspaced(letter);
            if let Some(begun) = start
                && (!is_word || is_alone)
            {
                each(&key[begun..at]);
                start = None;
            }
            if is_alone {
                each(&key[at..at + letter.len_utf8()]);
            } else if is_word {
                start.get_or_insert(at);
            }
        }
        if let Some(begun) = start {
            each(&key[begun..]);
        }
    }
}

/// True for a letter of Han, Hiragana, Katakana, Thai, Lao, Myanmar and Khmer, whose words are not separated by spaces.
fn is_unspaced(letter: char) -> bool {
    let is_in_range = matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    is_in_range && letter.is_alphanumeric()
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo). The database stores what follows from it: it must not change.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): a permutation whose results are evenly distributed.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// `count` distinct words, from this one on.
    fn words(from: usize, count: usize) -> String {
        (from..from + count).map(|number| format!("word{number} ")).collect()
    }

    fn overlap(left: &str, right: &str) -> Option<f32> {
        Shingles::of(left)?.overlap(&Shingles::of(right)?)
    }

    #[test]
    fn shingles_require_40_words() {
        assert!(Shingles::of(&words(0, 40)).is_some() && has_min_words(&words(0, 40)));
        assert!(Shingles::of(&words(0, 39)).is_none() && !has_min_words(&words(0, 39)));
        // Words of scripts without spaces are characters.
        let text: String = ('\u{4e00}'..).take(40).collect();
        assert!(Shingles::of(&text).is_some());
        assert!(Shingles::of(&text[3..]).is_none());
        assert!(Shingles::of("").is_none());
    }

    #[test]
    fn overlap_ignores_case_punctuation_and_white_space() {
        let text = "The ministers met in Baku, and signed three agreements on trade. ".repeat(2) + &words(0, 40);
        let other = text.to_uppercase().replace([',', '.'], " – ").replace(' ', "\n\u{a0} ");
        assert_eq!(overlap(&text, &other), Some(1.0));
    }

    #[test]
    fn reprints_with_another_lead_or_a_shortened_end_are_near_copies() {
        let text = words(0, 200);
        assert_eq!(overlap(&text, &words(0, 80)), Some(1.0), "a shortened end");
        assert_eq!(overlap(&text, &(words(900, 40) + &words(40, 160))), Some(156.0 / 196.0), "another lead");
        assert_eq!(overlap(&text, &(words(900, 40) + &words(40, 100))), Some(96.0 / 136.0), "both");
        assert_eq!(overlap(&text, &(words(900, 100) + &words(100, 100))), None, "half of it is new");
    }

    #[test]
    fn near_copies_have_40_words_three_fifths_of_the_shorter_and_three_tenths_of_the_longer_in_common() {
        let lead = |of: usize| words(900, of);
        assert!(overlap(&(lead(10) + &words(0, 40)), &words(0, 40)).is_some());
        assert!(overlap(&(lead(10) + &words(0, 39)), &(words(0, 39) + &lead(1))).is_none(), "39 words in common");
        // 96 shingles in common, of 160 and of 161 of the shorter text.
        assert!(overlap(&(words(0, 100) + &lead(64)), &(words(0, 100) + &words(2000, 80))).is_some());
        assert!(overlap(&(words(0, 100) + &lead(65)), &(words(0, 100) + &words(2000, 80))).is_none());
        // 96 shingles in common, of 320 and of 321 of the longer text.
        assert!(overlap(&words(0, 100), &words(0, 324)).is_some());
        assert!(overlap(&words(0, 100), &words(0, 325)).is_none());
    }

    #[test]
    fn weeks_have_keys_of_their_own() {
        let shingles = Shingles::of(&words(0, 50)).unwrap();
        let stored = |week| shingles.stored_keys(week).into_iter().collect::<HashSet<_>>();
        let sought = shingles.sought_keys(7).into_iter().collect::<HashSet<_>>();
        assert!([6, 7, 8].into_iter().all(|week| stored(week).is_subset(&sought)));
        assert!([5, 9].into_iter().all(|week| stored(week).is_disjoint(&sought)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn near_copies_have_a_key_in_common(
            words in proptest::collection::vec(0u32..100_000, 40..900),
            lead in proptest::collection::vec(100_000u32..200_000, 0..300),
            cut in 0usize..300,
            end in 0usize..600,
        ) {
            let text = |words: &[u32]| words.iter().map(|word| format!("{word} ")).collect::<String>();
            let cut = &words[cut.min(words.len() - 1)..];
            let reprint = text(&lead) + &text(&cut[..cut.len() - end.min(cut.len() - 1)]);
            let (Some(one), Some(two)) = (Shingles::of(&text(&words)), Shingles::of(&reprint)) else { return Ok(()) };
            prop_assert_eq!(one.overlap(&two), two.overlap(&one));
            prop_assert!(one.overlap(&one).is_none_or(|overlap| overlap == 1.0));
            if one.overlap(&two).is_some() {
                for (stored, sought) in [(&one, &two), (&two, &one)] {
                    let sought: HashSet<i64> = sought.sought_keys(0).into_iter().collect();
                    prop_assert!(stored.stored_keys(1).iter().any(|key| sought.contains(key)));
                }
            }
        }
    }
}
