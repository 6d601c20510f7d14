//! Sample characters for tests of folding.

/// Every character, except the inner parts of ranges that fold uniformly.
pub fn characters() -> impl Iterator<Item = char> {
    ('\0'..'\u{3400}')
        .chain('\u{4dfe}'..'\u{4e02}')
        .chain('\u{9ffe}'..'\u{ac02}')
        .chain('\u{d7a0}'..'\u{12000}')
        .chain('\u{16000}'..'\u{17000}')
        .chain('\u{1b000}'..'\u{20002}')
        .chain('\u{2f800}'..'\u{2fa20}')
        .chain('\u{e0000}'..'\u{e1000}')
}
