//! Codes of external registries: regions, languages, time zones. The contract has them as strings; this module checks
//! them.

use crate::model::text::suggestion::{MAX_WORD_LENGTH, nearest};

/// True for an ISO 3166-1 alpha-2 code in upper case, and for XK, which the European Union and others use for Kosovo.
pub fn is_region(code: &str) -> bool {
    code == "XK" || rust_iso3166::from_alpha2(code).is_some()
}

/// True for a well-formed BCP 47 tag (RFC 5646).
pub fn is_language(tag: &str) -> bool {
    oxilangtag::LanguageTag::parse(tag).is_ok()
}

/// True for the name of a zone of the IANA time zone database.
pub fn is_time_zone(name: &str) -> bool {
    name.parse::<chrono_tz::Tz>().is_ok()
}

/// Suggests a region for a code in lower case, with spaces around it, of three letters (alpha-3), or "UK".
pub fn nearest_region(code: &str) -> Option<String> {
    let upper = code.trim().to_ascii_uppercase();
    match upper.as_str() {
        "UK" => Some("GB".to_owned()),
        code if is_region(code) => Some(upper),
        code => rust_iso3166::from_alpha3(code).map(|country| country.alpha2.to_owned()),
    }
}

/// Suggests a language tag for a locale name such as `en_GB`. `None` for one that is longer than [`MAX_WORD_LENGTH`]:
/// a tag with extensions has no greatest length.
pub fn nearest_language(tag: &str) -> Option<String> {
    let tag = tag.trim();
    let tag = (tag.len() <= MAX_WORD_LENGTH).then(|| tag.replace('_', "-"))?;
    is_language(&tag).then_some(tag)
}

/// Suggests a time zone for a misspelt name. Case is ignored.
pub fn nearest_time_zone(name: &str) -> Option<&'static str> {
    let zones = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    zones().find(|zone| zone.eq_ignore_ascii_case(name.trim())).or_else(|| nearest(zones(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_suggests_a_code_for_a_misspelt_one() {
        for (code, region) in [("az", Some("AZ")), ("AZE", Some("AZ")), ("UK", Some("GB")), ("EU", None), ("", None)] {
            assert_eq!(nearest_region(code).as_deref(), region, "{code}");
        }
        assert_eq!(nearest_language("en_GB").as_deref(), Some("en-GB"));
        assert_eq!(nearest_language("english-languages"), None);
        let extended =
            |length: usize| format!("en_x_{}", "a_".repeat(length) + &"b".repeat(MAX_WORD_LENGTH - 5 - 2 * length));
        assert!(nearest_language(&extended(27)).is_some_and(|tag| tag.len() == MAX_WORD_LENGTH));
        assert_eq!(nearest_language(&(extended(27) + "_a")), None);
        for zone in ["asia/baku", "Asia/Bakku", "Asia/Baku "] {
            assert_eq!(nearest_time_zone(zone), Some("Asia/Baku"), "{zone}");
        }
        assert_eq!(nearest_time_zone("+04:00"), None);
    }

    #[test]
    fn codes_follow_the_registries() {
        assert!(is_region("AZ") && is_region("XK"));
        assert!(!is_region("az") && !is_region("AZE") && !is_region("ZZ") && !is_region(""));
        assert!(is_language("en") && is_language("az-Latn") && !is_language("e") && !is_language("en_US"));
        assert!(is_time_zone("Asia/Baku") && !is_time_zone("Mars/Olympus") && !is_time_zone("+04:00"));
    }
}
