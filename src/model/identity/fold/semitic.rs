//! Sounds of Arabic and Hebrew letters. Both scripts leave out most vowels.

use super::super::sound::{Sound, push, *};

/// Appends the sounds of a word.
pub fn sounds(word: &[char], into: &mut Vec<Sound>) {
    for (at, &c) in word.iter().enumerate() {
        let next = word.get(at + 1);
        let has_geresh = next.is_some_and(|next| matches!(next, '\'' | '\u{5f3}' | '\u{2019}'));
        let sounds: &[u32] = match (c, next) {
            ('ג', _) if has_geresh => &[J],
            ('צ' | 'ץ', _) if has_geresh => &[CH],
            ('ז', _) if has_geresh => &[ZH | J],
            ('ו', Some('ו')) => &[W | V],
            ('ת', Some('ش')) => &[],
            _ => single(c),
        };
        sounds.iter().for_each(|sound| push(into, *sound));
    }
}

fn single(c: char) -> &'static [u32] {
    match c {
        // Arabic, Persian, Kurdish, Urdu.
        'ا' | 'أ' | 'إ' | 'آ' | 'ٱ' | 'ع' => &[A | E | I | O | U | OPTIONAL],
        'ء' | 'ئ' | 'ؤ' => &[A | E | I | O | U | OPTIONAL],
        'ب' => &[B | P],
        'پ' => &[P],
        'ت' | 'ط' | 'ٹ' => &[T],
        'ث' => &[TH | S | T],
        'ج' => &[J | G | ZH],
        'چ' => &[CH],
        'ح' | 'ه' | 'ہ' | 'ھ' => &[H | OPTIONAL],
        'خ' => &[X | K | H],
        'د' | 'ڈ' => &[D],
        'ذ' | 'ظ' => &[Z | D | TH],
        'ر' | 'ڕ' | 'ڑ' => &[R],
        'ز' => &[Z | S],
        'ژ' => &[ZH | J],
        'س' | 'ص' => &[S | Z],
        'ش' => &[SH | CH],
        'ض' => &[D | Z],
        'غ' => &[G | X],
        'ف' => &[F | V | P],
        'ڤ' => &[V],
        'ق' => &[K | G],
        'ك' | 'ک' => &[K | G],
        'گ' => &[G],
        'ل' | 'ڵ' => &[L],
        'م' => &[M],
        'ن' | 'ں' => &[N],
        'و' | 'ۆ' | 'ۇ' => &[W | U | O | V],
        'ى' => &[A | I | E],
        'ي' | 'ی' | 'ێ' | 'ے' => &[Y | I | E | A],
        'ة' => &[A | E | OPTIONAL],
        'ە' => &[E | A],
        // Hebrew.
        'א' | 'ע' => &[A | E | I | O | U | OPTIONAL],
        'ב' => &[B | V],
        'ג' => &[G],
        'ד' => &[D],
        'ה' => &[H | OPTIONAL],
        'ו' => &[V | U | O | W],
        'ז' => &[Z | S],
        'ח' => &[X | H],
        'ט' | 'ת' => &[T | TH],
        'י' => &[Y | I | E],
        'כ' | 'ך' => &[K | X],
        'ל' => &[L],
        'מ' | 'ם' => &[M],
        'נ' | 'ן' => &[N],
        'ס' => &[S],
        'פ' | 'ף' => &[P | F],
        'צ' | 'ץ' => &[TS | S | CH],
        'ק' => &[K],
        'ר' => &[R],
        'ש' => &[SH | S],
        _ => &[],
    }
}
