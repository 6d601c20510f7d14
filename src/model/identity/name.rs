//! A name as the rule reads it: tokens without titles and particles, in the order of its bearer.

use super::{
    door,
    fold::{self, Script, Word},
    given_names,
    sound::{self, Sound},
    vocabulary as vocab,
};

/// A name.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub door: String,
    pub tokens: Vec<NameToken>,
    /// The generation, and the ordinal of a ruler.
    pub generation: Option<u8>,
    pub ordinal: Option<u8>,
    /// True if the family name stands first, by a comma or by upper case.
    pub family_first: bool,
}

/// A word of a name that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct NameToken {
    pub text: String,
    pub expanded: String,
    pub sounds: Vec<Sound>,
    pub script: Script,
    /// Groups of given names.
    pub groups: &'static [given_names::Membership],
    pub is_initial: bool,
    pub has_digit: bool,
    /// True if the name is too common to identify anybody.
    pub is_common: bool,
    /// True if it may be missing: Muhammad, words that may be titles, patronymics.
    pub may_miss: bool,
    /// True if an article of a family name stands before it.
    pub has_article: bool,
    /// True if a hyphen joins it to the token before.
    pub hyphen: bool,
    /// True if a word such as "bin" stands before it.
    pub is_father: bool,
    pub gender: Option<Gender>,
    /// The number of letters.
    pub length: usize,
}

/// The gender that a Slavic family name shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gender {
    Male,
    Female,
}

impl Name {
    /// The name as bearers of a region have it.
    pub fn of(text: &str, region: &str) -> Self {
        let mut words = fold::words(text);
        let mut name = Self {
            door: door::name_key(text),
            tokens: Vec::new(),
            generation: None,
            ordinal: None,
            family_first: false,
        };
        // Degrees and peerages after a comma: all that follows is short or begins with a title.
        if let Some(at) = words.iter().skip(2).position(|word| word.comma).map(|at| at + 2) {
            let generation = vocab::generation(&words[at].text);
            let is_suffix = generation.is_some()
                || vocab::is_title(&words[at].text)
                || (words[at].text.len() <= 3 && words[at].upper && words.len() - at <= 4);
            if is_suffix && words[..at].iter().filter(|word| !vocab::is_title(&word.text)).count() >= 2 {
                name.generation = generation;
                words.truncate(at);
            }
        }
        name.take_generation(&mut words);
        let is_upper = |word: &Word| word.upper && word.text.chars().count() > 1;
        let first_upper = words.first().is_some_and(is_upper) && words.last().is_some_and(|word| !is_upper(word));
        name.family_first = first_upper || words.get(1).is_some_and(|word| word.comma);
        name.tokens = tokens(&words, region);
        name.move_family_last(&words);
        name
    }

    /// Moves a family name before a comma, or in upper case at the front, behind the given names.
    fn move_family_last(&mut self, words: &[Word]) {
        if !self.family_first {
            return;
        }
        let is_family = |word: &Word| if words.iter().any(|word| word.comma) { false } else { word.upper };
        let comma = words.iter().position(|word| word.comma);
        let family = comma.unwrap_or_else(|| words.iter().take_while(|word| is_family(word)).count());
        let count =
            words[..family].iter().filter(|word| self.tokens.iter().any(|token| token.text == word.text)).count();
        if count < self.tokens.len() {
            self.tokens.rotate_left(count);
        }
    }

    fn take_generation(&mut self, words: &mut Vec<Word>) {
        // Numerals may stand inside, as in "Albert II of Belgium"; generations at the end only.
        while words.len() > 1
            && let Some(generation) = words.last().and_then(|word| vocab::generation(&word.text))
        {
            self.generation = Some(generation);
            words.pop();
        }
        let is_numeral = |word: &Word| (word.upper || word.text == "i" || word.text == "v") && !word.lower;
        let last = words.len().saturating_sub(1);
        let at = (1..words.len()).find(|&at| {
            let numeral = vocab::ordinal(&words[at].text).filter(|_| is_numeral(&words[at]));
            numeral.is_some_and(|numeral| numeral != 10 && (words[at].text.len() > 1 || at == last))
        });
        if let Some(at) = at {
            self.ordinal = vocab::ordinal(&words.remove(at).text);
        }
    }
}

/// The tokens of a name: its words without titles and particles.
fn tokens(words: &[Word], region: &str) -> Vec<NameToken> {
    let is_filler = |at: usize| {
        let word = &words[at];
        let two = words.len() == 2 && at == 0 && !word.hyphen;
        vocab::is_particle(&word.text) && !two
            || words.get(at + 1).is_some_and(|next| next.hyphen)
                && vocab::is_joined_article(&word.text)
                && (at > 0 || words.len() > 2)
    };
    let mut kept: Vec<usize> = (0..words.len()).filter(|at| !is_filler(*at)).collect();
    if kept.is_empty() {
        kept = (0..words.len()).collect();
    }
    drop_titles(words, region, &mut kept);
    move_given_first(words, &mut kept);
    let mut tokens: Vec<NameToken> = Vec::with_capacity(kept.len());
    for &at in &kept {
        let before = at.checked_sub(1).map(|before| &words[before]);
        let mut token = NameToken::of_region(&words[at], region);
        token.may_miss |= region == "SE" && before.is_some_and(|before| before.text == "i" && before.lower);
        if at.checked_sub(1).is_some_and(is_filler) {
            token.has_article = before.is_some_and(|before| vocab::is_article(&before.text) || words[at].hyphen);
            token.is_father = before.is_some_and(|before| vocab::is_filial(&before.text));
            token.hyphen = before.is_some_and(|before| before.hyphen) && !words[at].hyphen;
        }
        push_token(token, &mut tokens);
    }
    tokens
}

/// Moves the given name to the front where a source has cut a name behind it: "bin Isa Al Khalifa Hamad", "Al-Ahmad
/// Al-Sabah Sheikh Sabah".
fn move_given_first(words: &[Word], kept: &mut [usize]) {
    let Some((first, last)) = kept.first().copied().zip(kept.last().copied()) else { return };
    let is_title = |at: usize| vocab::is_never_name(&words[at].text);
    let title = (first + 1..last)
        .rev()
        .find(|at| is_title(*at))
        .filter(|at| kept.iter().filter(|kept| *kept > at).count() <= 2);
    let begins_with_father =
        words[..first].iter().any(|word| vocab::is_filial(&word.text) || vocab::is_article(&word.text))
            && !words[..first].iter().any(|word| vocab::is_title(&word.text));
    let given = match title {
        Some(title) => kept.iter().position(|at| *at > title),
        None if begins_with_father && kept.len() > 1 => Some(kept.len() - 1),
        None => None,
    };
    if let Some(given) = given {
        kept.rotate_left(given);
    }
}

/// Drops titles at the front while two other tokens remain, and titles that are no names anywhere.
fn drop_titles(words: &[Word], region: &str, kept: &mut Vec<usize>) {
    let is_burmese = region == "MM";
    let is_title = |word: &Word| {
        let text = word.text.as_str();
        vocab::is_title(text)
            || (text == "tan" && region == "MY")
            || (is_burmese && matches!(text, "u" | "daw" | "ko"))
            || (region == "ID" && text == "h")
    };
    let is_never_name = |word: &Word| {
        vocab::is_never_name(&word.text) || (is_burmese && word.text == "u") || (region == "ID" && word.text == "h")
    };
    let real = |kept: &[usize]| kept.iter().filter(|at| !is_title(&words[**at])).count();
    while kept.len() > 2 && is_title(&words[kept[0]]) {
        kept.remove(0);
    }
    if kept.len() == 2 && is_title(&words[kept[0]]) && real(kept) == 1 && vocab::is_never_name(&words[kept[0]].text) {
        kept.remove(0);
    }
    let mut at = 0;
    while at < kept.len() && kept.len() > 2 {
        if is_never_name(&words[kept[at]]) {
            kept.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Adds a token. "Abdulaziz" becomes "abd" and "aziz", as in "Abdul Aziz"; an article at the front of an Arabic word is
/// taken off.
fn push_token(mut token: NameToken, tokens: &mut Vec<NameToken>) {
    if token.script == Script::Latin {
        let rest = ["abdul", "abdel", "abdal", "abdol"].into_iter().find_map(|prefix| token.text.strip_prefix(prefix));
        match rest {
            Some("") => token = NameToken { may_miss: false, ..NameToken::of(&plain_word("abd")) },
            Some(rest) if rest.len() >= 3 && !rest.starts_with("la") => {
                let rest = plain_word(rest);
                tokens.push(NameToken {
                    hyphen: token.hyphen,
                    is_father: token.is_father,
                    ..NameToken::of(&plain_word("abd"))
                });
                return tokens.push(NameToken::of(&rest));
            }
            _ => {}
        }
    }
    if token.script == Script::Semitic
        && token.length > 4
        && let Some(rest) = token.text.strip_prefix("ال")
    {
        let word = fold::words(rest).into_iter().next();
        token = word.map_or(token, |word| NameToken { has_article: true, ..NameToken::of(&word) });
    }
    tokens.push(token);
}

fn plain_word(text: &str) -> Word {
    fold::words(text).into_iter().next().expect("a word of letters")
}

impl NameToken {
    /// The token of a word, without the endings of the region's language.
    fn of_region(word: &Word, region: &str) -> Self {
        let endings: &[&str] = match region {
            // Family names that have lost their Russian ending, and the genitive of the father's name.
            "TJ" => &["ov", "ev"],
            "MN" => &["giin", "gyin", "gyn", "iin", "yn", "iyn"],
            _ => &[],
        };
        let stem = endings.iter().find_map(|ending| word.text.strip_suffix(ending)).filter(|stem| stem.len() >= 4);
        let mut token = match (stem, region, word.text.as_str()) {
            (Some(stem), ..) => NameToken { hyphen: word.hyphen, ..NameToken::of(&plain_word(stem)) },
            (None, "MY", "ab") => NameToken::of(&plain_word("abd")),
            _ => NameToken::of(word),
        };
        // The ending of masculine names in Latvian.
        if region == "LV" && token.length > 4 && token.text.ends_with('s') && token.script == Script::Latin {
            token.sounds.pop();
        }
        if region == "JP" {
            token.expanded = without_long_vowels(&token.text);
        }
        // The ending of the nominative in Georgian, which foreign names take.
        if region != "GE" && word.text.ends_with('ი') && token.sounds.len() > 3 {
            token.sounds.pop();
        }
        token.may_miss |= word.bracket;
        token
    }

    /// The family name and the given names of a name in Han or Hangul: its first syllable, and the rest.
    pub fn syllables(&self) -> Vec<Self> {
        let mut chars = self.text.chars();
        let first: String = chars.by_ref().take(1).collect();
        [first.as_str(), chars.as_str()].into_iter().flat_map(fold::words).map(|word| Self::of(&word)).collect()
    }

    fn of(word: &Word) -> Self {
        let text = word.text.as_str();
        let length = text.chars().count();
        let mut sounds = word.sounds.clone();
        if sounds.is_empty() {
            // A word without sounds is compared by its letters only.
            sounds = vec![Sound(sound::CONSONANTS)];
        }
        Self {
            text: text.to_owned(),
            expanded: word.expanded.clone(),
            sounds,
            script: word.script,
            groups: given_names::groups(if word.script == Script::European { &word.expanded } else { text }),
            is_initial: length == 1 && matches!(word.script, Script::Latin | Script::European | Script::Other),
            has_digit: text.chars().any(char::is_numeric),
            is_common: vocab::is_common(text),
            may_miss: vocab::is_muhammad(text) || vocab::may_be_title(text) || is_patronymic(text),
            has_article: false,
            hyphen: word.hyphen,
            is_father: false,
            gender: gender(text),
            length,
        }
    }
}

/// Japanese in Latin letters without long vowels, which are written in several ways.
fn without_long_vowels(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    for c in text.chars() {
        let is_long = matches!((short.chars().next_back(), c), (Some('o'), 'u' | 'o') | (Some('u'), 'u'));
        if !is_long {
            short.push(c);
        }
    }
    short
}

fn is_patronymic(text: &str) -> bool {
    ["vich", "evna", "ovna", "vych", "вич", "вна", "ович", "ич"].into_iter().any(|ending| text.ends_with(ending))
        && text.chars().count() > 6
}

/// The gender of a Slavic family name, by its ending.
fn gender(text: &str) -> Option<Gender> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| text.ends_with(ending));
    if ends(&[
        "ova", "eva", "skaya", "skaia", "ska", "ina", "yna", "ова", "ева", "ёва", "ская", "ина", "ына", "цкая", "aya",
        "ая",
    ]) {
        return Some(Gender::Female);
    }
    let is_male = ends(&[
        "ov", "ev", "off", "sky", "ski", "skiy", "skii", "in", "yn", "ов", "ев", "ёв", "ский", "цкий", "ин", "ын",
    ]);
    is_male.then_some(Gender::Male)
}
