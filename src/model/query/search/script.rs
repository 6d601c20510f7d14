//! Scripts without spaces between words. Their words cannot be told apart without a dictionary, and so a run of their
//! characters is searched for as a part of a text.

/// True for a character of a script that is written without spaces between words, or with spaces between groups of them
/// only: Korean attaches particles to nouns.
pub(super) fn is_unspaced(c: char) -> bool {
    if c < '\u{e00}' {
        return false;
    }
    is_hangul(c)
        || matches!(c,
            // Thai, Lao, Myanmar, Khmer.
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            // Tai Le, New Tai Lue, Khmer symbols, Tai Tham, Balinese.
            | '\u{1950}'..='\u{19ff}' | '\u{1a20}'..='\u{1aaf}' | '\u{1b00}'..='\u{1b7f}'
            // Radicals, ideographic marks and numbers, kana, Bopomofo.
            | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{312f}'
            | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}'
            // Ideographs, Yi.
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}'
            // Javanese, Myanmar, Tai Viet.
            | '\u{a980}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}'
            // Tangut, Khitan, kana, Nushu, and the planes of ideographs.
            | '\u{16fe0}'..='\u{18dff}' | '\u{1aff0}'..='\u{1b2ff}' | '\u{20000}'..='\u{3fffd}')
}

/// True for a syllable or a letter of Hangul, whose groups of words have spaces between them.
pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}')
}
