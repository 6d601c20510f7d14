//! The marks of which all kinds are equal.

/// True for apostrophes, quotation marks, primes and the letters that stand for an apostrophe. Their wide and vertical
/// forms fold to others of them before. From Unicode 16: `Quotation_Mark` of PropList.txt, with the apostrophes, accents
/// and primes that are typed in their place. The half rings `ʾ` and `ʿ` are letters.
pub fn is_quotation_mark(c: char) -> bool {
    matches!(c,
        '"' | '\'' | '`' | '\u{ab}' | '\u{b4}' | '\u{bb}'
        | '\u{2b9}'..='\u{2bc}' | '\u{2ee}' | '\u{55a}' | '\u{5f3}' | '\u{5f4}' | '\u{7f4}' | '\u{7f5}'
        | '\u{2018}'..='\u{201f}' | '\u{2032}'..='\u{2037}' | '\u{2039}' | '\u{203a}' | '\u{2057}'
        | '\u{275b}'..='\u{275e}' | '\u{2760}' | '\u{276e}' | '\u{276f}' | '\u{2e42}'
        | '\u{300c}'..='\u{300f}' | '\u{301d}'..='\u{301f}' | '\u{1f676}'..='\u{1f678}')
}

/// True for hyphens, dashes and minus signs. From Unicode 16: the category `Dash_Punctuation`, and the minus signs and
/// the hyphen bullet of `Dash` in PropList.txt.
pub fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{207b}'
                | '\u{208b}'
                | '\u{2212}'
                | '\u{2e17}'
                | '\u{2e1a}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{2e40}'
                | '\u{2e5d}'
                | '\u{301c}'
                | '\u{3030}'
                | '\u{30a0}'
                | '\u{10d6e}'
                | '\u{10ead}'
    )
}

/// True for the forms of the digits 0 to 9 that mean the same in a number: in full width, bold, and the like. From
/// Unicode 16: the characters of the category `Decimal_Number` with a compatibility decomposition.
pub fn is_decimal_digit(c: char) -> bool {
    matches!(c, '0'..='9' | '\u{ff10}'..='\u{ff19}' | '\u{1ccf0}'..='\u{1ccf9}' | '\u{1d7ce}'..='\u{1d7ff}' | '\u{1fbf0}'..='\u{1fbf9}')
}
