//! Languages of queries: a code or a name, and the rules of PostgreSQL that find the stems of its words.

/// A language with rules for stems in PostgreSQL.
struct Stemmed {
    /// The name of PostgreSQL's configuration.
    config: &'static str,
    /// Codes of ISO 639-1, 639-2 and 639-3.
    codes: &'static [&'static str],
}

/// The languages that PostgreSQL 14 has rules for. `search_config` in `migrations/0028_words.sql` has the same codes.
const STEMMED: &[Stemmed] = &[
    Stemmed { config: "arabic", codes: &["ar", "ara", "arb"] },
    Stemmed { config: "armenian", codes: &["hy", "hye", "arm"] },
    Stemmed { config: "basque", codes: &["eu", "eus", "baq"] },
    Stemmed { config: "catalan", codes: &["ca", "cat"] },
    Stemmed { config: "danish", codes: &["da", "dan"] },
    Stemmed { config: "dutch", codes: &["nl", "nld", "dut"] },
    Stemmed { config: "english", codes: &["en", "eng"] },
    Stemmed { config: "finnish", codes: &["fi", "fin"] },
    Stemmed { config: "french", codes: &["fr", "fra", "fre"] },
    Stemmed { config: "german", codes: &["de", "deu", "ger"] },
    Stemmed { config: "greek", codes: &["el", "ell", "gre"] },
    Stemmed { config: "hindi", codes: &["hi", "hin"] },
    Stemmed { config: "hungarian", codes: &["hu", "hun"] },
    Stemmed { config: "indonesian", codes: &["id", "ind"] },
    Stemmed { config: "irish", codes: &["ga", "gle"] },
    Stemmed { config: "italian", codes: &["it", "ita"] },
    Stemmed { config: "lithuanian", codes: &["lt", "lit"] },
    Stemmed { config: "nepali", codes: &["ne", "nep", "npi"] },
    Stemmed { config: "norwegian", codes: &["no", "nor", "nb", "nob", "nn", "nno"] },
    Stemmed { config: "portuguese", codes: &["pt", "por"] },
    Stemmed { config: "romanian", codes: &["ro", "ron", "rum"] },
    Stemmed { config: "russian", codes: &["ru", "rus"] },
    Stemmed { config: "serbian", codes: &["sr", "srp"] },
    Stemmed { config: "spanish", codes: &["es", "spa"] },
    Stemmed { config: "swedish", codes: &["sv", "swe"] },
    Stemmed { config: "tamil", codes: &["ta", "tam"] },
    Stemmed { config: "turkish", codes: &["tr", "tur"] },
    Stemmed { config: "yiddish", codes: &["yi", "yid"] },
];

/// PostgreSQL's configuration without stems.
const SIMPLE: &str = "simple";

/// The codes of ISO 639-1.
const TWO_LETTERS: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz \
     ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu \
     ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb \
     nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq \
     sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// The configuration for the stems of a text in a language (BCP 47); `None` if PostgreSQL has no rules for it.
pub fn stem_config(language: &str) -> Option<&'static str> {
    let code = primary_code(language);
    STEMMED.iter().find(|stemmed| stemmed.codes.contains(&code.as_str())).map(|stemmed| stemmed.config)
}

/// The configuration for a `query_language`, which may also be the name of a configuration.
pub(super) fn query_config(language: &str) -> Option<&'static str> {
    let named = || STEMMED.iter().map(|stemmed| stemmed.config).find(|config| language.eq_ignore_ascii_case(config));
    stem_config(language).or_else(named)
}

/// True for a language that a query may have: a BCP 47 tag whose language is a code of ISO 639, or the name of one of
/// PostgreSQL's configurations.
pub fn is_query_language(language: &str) -> bool {
    let code = primary_code(language);
    let is_code = match code.len() {
        // A private language: `x-…`.
        1 => code == "x",
        2 => TWO_LETTERS.split_ascii_whitespace().any(|known| known == code),
        length => length == 3,
    };
    let is_name = language_names().any(|name| language.eq_ignore_ascii_case(name));
    is_name || is_code && oxilangtag::LanguageTag::parse(language).is_ok()
}

/// The names of languages that a query may have beside codes.
pub fn language_names() -> impl Iterator<Item = &'static str> {
    STEMMED.iter().map(|stemmed| stemmed.config).chain([SIMPLE])
}

fn primary_code(language: &str) -> String {
    language.split('-').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_follows_from_codes_and_names() {
        for (language, config) in [
            ("en", Some("english")),
            ("eng", Some("english")),
            ("EN-gb", Some("english")),
            ("english", Some("english")),
            ("English", Some("english")),
            ("deu", Some("german")),
            ("ger-AT", Some("german")),
            ("nb", Some("norwegian")),
            ("az", None),
            ("zho", None),
            ("simple", None),
        ] {
            assert_eq!(query_config(language), config, "{language}");
            assert!(is_query_language(language), "{language}");
        }
        assert_eq!(stem_config("english"), None);
    }

    #[test]
    fn query_language_is_a_code_or_a_name() {
        for language in ["zh-Hant-TW", "x-none", "und", "yue", "sr-Latn"] {
            assert!(is_query_language(language), "{language}");
        }
        for language in ["qq", "xx", "klingon", "english-GB", "englisch", "en_GB", "e", "-", "en-", "", "chinese"] {
            assert!(!is_query_language(language), "{language}");
        }
    }
}
