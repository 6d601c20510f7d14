//! Sounds of Latin letters. The table unites the spellings of many languages, so that most letters are ambiguous.

use super::super::sound::{Sound, push, *};

/// Appends the sounds of a word in lower case: letters composed with their accents.
pub fn sounds(word: &[char], into: &mut Vec<Sound>) {
    let mut rest = word;
    let begin = into.len();
    while let Some(&first) = rest.first() {
        let at_start = into.len() == begin;
        let group = GROUPS.iter().find(|(letters, _)| {
            letters.len() <= rest.len() && letters.bytes().zip(rest).all(|(letter, c)| char::from(letter) == *c)
        });
        if let Some((letters, sounds)) = group.filter(|(letters, _)| *letters != "mc" || at_start) {
            sounds.iter().for_each(|sound| push(into, *sound));
            rest = &rest[letters.len()..];
            continue;
        }
        let is_soft = rest.get(1).is_some_and(|next| matches!(next, 'e' | 'i' | 'y' | 'ä' | 'ö' | 'é' | 'è' | 'í'));
        single(first, is_soft).iter().for_each(|sound| push(into, *sound));
        rest = &rest[1..];
    }
}

/// Groups of letters, longer before shorter.
const GROUPS: [(&str, &[u32]); 56] = [
    ("schtsch", &[SH, CH | OPTIONAL]),
    ("shtsh", &[SH, CH | OPTIONAL]),
    ("shch", &[SH, CH | OPTIONAL]),
    ("tsch", &[CH]),
    ("dsch", &[J]),
    ("tsj", &[CH]),
    ("tch", &[CH]),
    ("sch", &[SH | S | ZH, K | X | OPTIONAL]),
    ("dzh", &[J]),
    ("djh", &[J]),
    ("eau", &[O | U]),
    ("ough", &[O | U, G | F | OPTIONAL]),
    ("augh", &[O | A, G | F | OPTIONAL]),
    ("igh", &[A | I, G | OPTIONAL]),
    ("tzs", &[TS]),
    ("skj", &[SH | S, K | OPTIONAL]),
    ("mc", &[M, A | OPTIONAL, K]),
    ("dd", &[D | TH]),
    ("sh", &[SH | S]),
    ("ch", &[CH | SH | X | K]),
    ("kh", &[X | K | H]),
    ("gh", &[G | X | OPTIONAL]),
    ("zh", &[ZH | J | Z]),
    ("ph", &[F | P]),
    ("th", &[T | TH | D]),
    ("dh", &[D | TH | Z]),
    ("bh", &[B | V]),
    ("lh", &[L, Y | OPTIONAL]),
    ("nh", &[N, Y | H | OPTIONAL]),
    ("rh", &[R]),
    ("wh", &[W | V | H]),
    ("hs", &[SH | S]),
    ("dj", &[J | ZH]),
    ("tj", &[CH | T, Y | OPTIONAL]),
    ("sj", &[SH | S, Y | OPTIONAL]),
    ("zj", &[ZH | Z]),
    ("nj", &[N, Y | J | OPTIONAL]),
    ("lj", &[L, Y | J | OPTIONAL]),
    ("kj", &[K | CH | SH, Y | OPTIONAL]),
    ("gj", &[G | J | Y]),
    ("hj", &[Y | H]),
    ("cz", &[CH | S | Z | TS]),
    ("sz", &[S | SH]),
    ("rz", &[ZH | R, Z | OPTIONAL]),
    ("ts", &[TS | S | Z]),
    ("tz", &[TS | S | Z]),
    ("dz", &[TS | Z | J, Z | OPTIONAL]),
    ("cs", &[CH | K, S | OPTIONAL]),
    ("zs", &[ZH | Z | S]),
    ("ck", &[K]),
    ("cc", &[K | CH, S | OPTIONAL]),
    ("qu", &[K, W | OPTIONAL]),
    ("gn", &[G | OPTIONAL, N, Y | OPTIONAL]),
    ("ng", &[N, G | K | OPTIONAL]),
    ("kn", &[K | OPTIONAL, N]),
    ("ll", &[L | Y]),
];

fn single(c: char, is_soft: bool) -> &'static [u32] {
    match c {
        'a' => &[A],
        'b' => &[B],
        'c' if is_soft => &[S | TS | J | CH | K],
        'c' => &[K | J | TS],
        'd' => &[D],
        'e' => &[E],
        'f' => &[F],
        'g' if is_soft => &[G | J | ZH | X | H],
        'g' => &[G | H],
        'h' => &[H | OPTIONAL],
        'i' | 'y' => &[I | Y],
        'j' => &[J | ZH | Y | X | H],
        'k' => &[K],
        'l' => &[L],
        'm' => &[M],
        'n' => &[N],
        'o' => &[O],
        'p' => &[P],
        'q' => &[K | G | CH],
        'r' => &[R],
        's' => &[S | Z],
        't' => &[T],
        'u' => &[U],
        'v' => &[V | F | W],
        'w' => &[W | V | U],
        'x' => &[K | X | SH | Z | H | S, S | OPTIONAL],
        'z' => &[Z | S | TS],
        'æ' | 'ä' => &[A | E],
        'ə' | 'ǝ' => &[A | E],
        'ø' | 'ö' | 'œ' | 'ő' => &[O | E],
        'å' => &[A | O],
        'ü' | 'ű' => &[U | I],
        'ı' => &[I | U],
        'ł' => &[L | W],
        'đ' => &[D | J],
        'ß' => &[S],
        'þ' => &[TH | T],
        'ð' => &[D | TH],
        'ŋ' => &[N],
        'š' | 'ş' | 'ș' | 'ś' | 'ŝ' => &[SH | S],
        'ž' | 'ź' | 'ż' => &[ZH | Z | J],
        'č' | 'ć' | 'ĉ' => &[CH | TS],
        'ç' => &[S | CH],
        'ğ' | 'ģ' | 'ġ' => &[G | Y | J | OPTIONAL],
        'ñ' | 'ň' | 'ń' | 'ņ' => &[N, Y | OPTIONAL],
        'ř' => &[R, ZH | SH | OPTIONAL],
        'ť' | 'ţ' | 'ț' => &[T | TS],
        'ď' => &[D],
        'ķ' => &[K],
        'ļ' | 'ľ' => &[L],
        'ë' => &[E | O],
        'ã' | 'ą' => &[A | O, N | OPTIONAL],
        'õ' => &[O, N | OPTIONAL],
        'ę' => &[E, N | OPTIONAL],
        _ => &[],
    }
}
