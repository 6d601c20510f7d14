//! Codes that others keep: regions, languages, time zones. They are strings in the contract, and checked here.

/// ISO 3166-1 alpha-2 in upper case, or XK, which the European Union and others use for Kosovo.
pub fn is_region(code: &str) -> bool {
    code == "XK" || rust_iso3166::from_alpha2(code).is_some()
}

/// Well-formed BCP 47 (RFC 5646).
pub fn is_language(tag: &str) -> bool {
    oxilangtag::LanguageTag::parse(tag).is_ok()
}

/// A zone of the IANA time zone database.
pub fn is_time_zone(name: &str) -> bool {
    name.parse::<chrono_tz::Tz>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_registries() {
        assert!(is_region("AZ") && is_region("XK"));
        assert!(!is_region("az") && !is_region("AZE") && !is_region("ZZ") && !is_region(""));
        assert!(is_language("en") && is_language("az-Latn") && !is_language("e") && !is_language("en_US"));
        assert!(is_time_zone("Asia/Baku") && !is_time_zone("Mars/Olympus") && !is_time_zone("+04:00"));
    }
}
