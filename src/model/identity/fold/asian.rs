//! Sounds of Hangul, Kana, Han and the scripts of India.

use super::super::sound::{Sound, push, *};

/// Appends the sounds of a Hangul syllable.
pub fn hangul(c: char, into: &mut Vec<Sound>) {
    let Some(index) = u32::from(c).checked_sub(0xac00).filter(|index| *index < 11_172) else { return };
    let (initial, vowel, last) = (index / 588, index % 588 / 28, index % 28);
    let initial: u32 = [
        K | G,
        K | G,
        N,
        D | T | TH,
        D | T,
        L | R,
        M,
        B | P | V,
        B | P,
        S | SH | TH | Z,
        S | SH,
        0,
        J | Z | ZH | CH | Y,
        J | Z,
        CH | TS | Z | SH,
        K,
        T | TH,
        P | F,
        H,
    ][initial as usize];
    if initial != 0 {
        push(into, initial);
    }
    let vowels: &[u32] = [
        &[A][..],
        &[E | A],
        &[Y | OPTIONAL, A],
        &[Y | OPTIONAL, E | A],
        &[O | E | U | A],
        &[E],
        &[Y | OPTIONAL, O | E | U | A],
        &[Y | OPTIONAL, E],
        &[O | A],
        &[W | O, A],
        &[W, E | A],
        &[W | OPTIONAL, O | E | I],
        &[Y | OPTIONAL, O],
        &[U | W | O],
        &[W, O | E],
        &[W, E],
        &[W | OPTIONAL, I | U],
        &[Y | OPTIONAL, U],
        &[U | E | O | I | OPTIONAL],
        &[I | E],
        &[I | Y],
    ][vowel as usize];
    vowels.iter().for_each(|sound| push(into, *sound));
    let last: &[u32] = match last {
        0 | 27 => &[],
        1..=3 | 24 => &[K | G],
        4..=6 => &[N],
        7 | 19 | 20 | 22 | 23 | 25 => &[T | D | S | TH | CH | Z],
        8..=15 => &[L | R],
        16 => &[M],
        17 | 18 | 26 => &[P | B | F | V],
        21 => &[N, G | OPTIONAL],
        _ => &[],
    };
    last.iter().for_each(|sound| push(into, *sound));
}

/// Appends the sounds of a word in Katakana or Hiragana.
pub fn kana(word: &[char], into: &mut Vec<Sound>) {
    for &c in word {
        let c = match c {
            '\u{3041}'..='\u{3096}' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
            c => c,
        };
        let (consonant, vowel): (&[u32], u32) = match c {
            'ア' => (&[], A | E),
            'イ' => (&[], I | Y | E),
            'ウ' => (&[], U | W | O),
            'エ' => (&[], E | Y),
            'オ' => (&[], O),
            'カ' | 'ガ' | 'キ' | 'ギ' | 'ク' | 'グ' | 'ケ' | 'ゲ' | 'コ' | 'ゴ' => {
                let voiced = matches!(c, 'ガ' | 'ギ' | 'グ' | 'ゲ' | 'ゴ');
                (if voiced { &[G] } else { &[K | X] }, row_vowel(c))
            }
            'サ' | 'ス' | 'セ' | 'ソ' => (&[S | TH], row_vowel(c)),
            'シ' => (&[SH | S | TH], I),
            'ザ' | 'ズ' | 'ゼ' | 'ゾ' => (&[Z | S | TH | TS], row_vowel(c)),
            'ジ' | 'ヂ' => (&[J | Z | ZH | D], I),
            'タ' | 'テ' | 'ト' => (&[T | TH], row_vowel(c)),
            'チ' => (&[CH | T | TS], I),
            'ツ' | 'ヅ' => (&[TS | T | S | Z], U),
            'ダ' | 'デ' | 'ド' => (&[D | TH], row_vowel(c)),
            'ナ' | 'ニ' | 'ヌ' | 'ネ' | 'ノ' => (&[N], row_vowel(c)),
            'ハ' | 'ヒ' | 'ヘ' | 'ホ' => (&[H | X], row_vowel(c)),
            'フ' => (&[F | H | V], U),
            'バ' | 'ビ' | 'ブ' | 'ベ' | 'ボ' => (&[B | V], row_vowel(c)),
            'パ' | 'ピ' | 'プ' | 'ペ' | 'ポ' => (&[P], row_vowel(c)),
            'マ' | 'ミ' | 'ム' | 'メ' | 'モ' => (&[M], row_vowel(c)),
            'ヤ' | 'ャ' => (&[Y | OPTIONAL], A),
            'ユ' | 'ュ' => (&[Y | OPTIONAL], U),
            'ヨ' | 'ョ' => (&[Y | OPTIONAL], O),
            'ラ' | 'リ' | 'ル' | 'レ' | 'ロ' => (&[R | L], row_vowel(c)),
            'ワ' => (&[W], A),
            'ヴ' => (&[V | B], U),
            'ン' => (&[N | M], 0),
            'ァ' => (&[], A),
            'ィ' => (&[], I),
            'ゥ' => (&[], U),
            'ェ' => (&[], E),
            'ォ' => (&[], O),
            _ => (&[], 0),
        };
        consonant.iter().for_each(|sound| push(into, *sound));
        if vowel != 0 {
            push(into, vowel);
        }
    }
}

fn row_vowel(c: char) -> u32 {
    match c {
        'カ' | 'ガ' | 'サ' | 'ザ' | 'タ' | 'ダ' | 'ナ' | 'ハ' | 'バ' | 'パ' | 'マ' | 'ラ' => A | O | E,
        'キ' | 'ギ' | 'ニ' | 'ヒ' | 'ビ' | 'ピ' | 'ミ' | 'リ' => I | E | Y,
        'ク' | 'グ' | 'ス' | 'ズ' | 'ヌ' | 'ブ' | 'プ' | 'ム' | 'ル' => U | E | O,
        'ケ' | 'ゲ' | 'セ' | 'ゼ' | 'テ' | 'デ' | 'ネ' | 'ヘ' | 'ベ' | 'ペ' | 'メ' | 'レ' => E | A | I,
        _ => O | A | U,
    }
}

/// Appends the sounds of a syllable in Pinyin, as a foreign name uses it.
pub fn pinyin(syllable: &str, into: &mut Vec<Sound>) {
    if matches!(syllable, "er") {
        return push(into, R | L);
    }
    let rest =
        ["zh", "ch", "sh"].into_iter().find_map(|initial| syllable.strip_prefix(initial).map(|rest| (initial, rest)));
    let (initial, rest) = rest.unwrap_or_else(|| match syllable.chars().next() {
        Some(c) if !"aeiou".contains(c) => syllable.split_at(c.len_utf8()),
        _ => ("", syllable),
    });
    let initial = match initial {
        "zh" => ZH | J | CH | Z,
        "ch" => CH | SH | TS,
        "sh" => SH | S,
        "b" => B | P | V,
        "p" => P | B | F,
        "m" => M,
        "f" => F | V | P | H,
        "d" => D | T | TH,
        "t" => T | D | TH,
        "n" => N | L,
        "l" => L | R | N,
        "g" => G | K,
        "k" => K | G | X,
        "h" => H | X | F | OPTIONAL,
        "j" => J | G | K | CH | ZH,
        "q" => CH | K | J,
        "x" => SH | S | H | X | Z,
        "r" => R | ZH | L | J,
        "z" => Z | S | TS,
        "c" => TS | S | Z,
        "s" => S | Z | TH | SH,
        "w" => W | V | U | OPTIONAL,
        "y" => Y | I | OPTIONAL,
        _ => 0,
    };
    if initial != 0 {
        push(into, initial);
    }
    for c in rest.chars() {
        match c {
            'a' => push(into, A | E),
            'e' => push(into, E | A | O),
            'i' => push(into, I | E | Y),
            'o' => push(into, O | A | U),
            'u' | 'v' => push(into, U | O | W),
            'n' => push(into, N | M),
            'g' => push(into, G | OPTIONAL),
            'r' => push(into, R | OPTIONAL),
            _ => {}
        }
    }
}

/// Appends the sounds of a word in Devanagari, or in a script of India with the same layout of its block.
pub fn indic(word: &[char], into: &mut Vec<Sound>) {
    for &c in word {
        let is_tamil = matches!(c, '\u{b80}'..='\u{bff}');
        let sound = match u32::from(c) % 0x80 {
            0x01..=0x02 => N | M | OPTIONAL,
            0x05..=0x06 | 0x3e | 0x72 | 0x45 | 0x0d => A | E | O,
            0x07..=0x08 | 0x3f..=0x40 => I | Y | E,
            0x09..=0x0a | 0x41..=0x42 => U | O,
            0x0e..=0x10 | 0x46..=0x48 => E | A | I,
            0x11..=0x14 | 0x49..=0x4c => O | A | U,
            0x15..=0x16 if is_tamil => K | G | H,
            0x15 => K,
            0x16 => K | X,
            0x17..=0x18 => G,
            0x19 | 0x1e | 0x23 | 0x28..=0x29 => N,
            0x1a..=0x1b if is_tamil => S | CH | J,
            0x1a..=0x1b => CH,
            0x1c..=0x1d => J | Z | ZH,
            0x1f..=0x20 | 0x24..=0x25 if is_tamil => T | D | TH,
            0x1f | 0x24 => T,
            0x20 | 0x25 => T | TH,
            0x21..=0x22 => D | R,
            0x26..=0x27 => D | TH,
            0x2a if is_tamil => P | B,
            0x2a => P,
            0x2b => F | P,
            0x2c..=0x2d => B,
            0x2e => M,
            0x2f => Y | J,
            0x30..=0x31 => R,
            0x32..=0x33 => L,
            0x34 => L | ZH,
            0x35 => V | W,
            0x36..=0x37 => SH | S,
            0x38 => S | Z,
            0x39 => H | OPTIONAL,
            _ => continue,
        };
        push(into, sound);
    }
}
