//! Codes of external registries: regions, languages, time zones. The contract has them as strings; this module checks
//! them.

use crate::model::{
    text::suggestion::{MAX_WORD_LENGTH, nearest},
    time::zones,
};

/// The rule on region codes, for messages.
pub const REGION_RULE: &str = "an ISO 3166 alpha-2 code in upper case, or XK";

/// A region that is not in ISO 3166-1 at present.
struct OtherRegion {
    alpha2: &'static str,
    /// Empty if it has none.
    alpha3: &'static str,
    /// The codes of the states and territories that followed it, or of the state that it belongs to.
    successors: &'static [&'static str],
}

const fn other(alpha2: &'static str, alpha3: &'static str, successors: &'static [&'static str]) -> OtherRegion {
    OtherRegion { alpha2, alpha3, successors }
}

/// The regions besides those of ISO 3166-1, sorted by code:
/// - those of ISO 3166-3, with the codes that ISO 3166-1 has withdrawn, unless the code names another region now (AI,
///   BQ, BY, GE and SK do). CS was Czechoslovakia until 1993, and Serbia and Montenegro from 2003 to 2006;
/// - the codes that the maintenance agency of ISO 3166 reserves exceptionally (iso.org/obp, "exceptionally reserved");
/// - XK, a user-assigned code, which the European Union and others use for Kosovo.
///
/// UK and FX are left out: they name the regions of GB and FR a second time, and a region has one code. FX is also
/// withdrawn.
static OTHER_REGIONS: [OtherRegion; 35] = [
    other("AC", "ASC", &["SH"]),
    other("AN", "ANT", &["BQ", "CW", "SX"]),
    other("BU", "BUR", &["MM"]),
    other("CP", "CPT", &["FR"]),
    other("CQ", "", &["GG"]),
    other("CS", "CSK", &["CZ", "SK", "RS", "ME"]),
    other("CT", "CTE", &["KI"]),
    other("DD", "DDR", &["DE"]),
    other("DG", "DGA", &["IO"]),
    other("DY", "DHY", &["BJ"]),
    other("EA", "", &["ES"]),
    other("EU", "", &[]),
    other("EZ", "", &[]),
    other("FQ", "ATF", &["AQ", "TF"]),
    other("HV", "HVO", &["BF"]),
    other("IC", "", &["ES"]),
    other("JT", "JTN", &["UM"]),
    other("MI", "MID", &["UM"]),
    other("NH", "NHB", &["VU"]),
    other("NQ", "ATN", &["AQ"]),
    other("NT", "NTZ", &["IQ", "SA"]),
    other("PC", "PCI", &["FM", "MH", "MP", "PW"]),
    other("PU", "PUS", &["UM"]),
    other("PZ", "PCZ", &["PA"]),
    other("RH", "RHO", &["ZW"]),
    other("SU", "SUN", &["AM", "AZ", "BY", "EE", "GE", "KG", "KZ", "LT", "LV", "MD", "RU", "TJ", "TM", "UA", "UZ"]),
    other("TA", "TAA", &["SH"]),
    other("TP", "TMP", &["TL"]),
    other("UN", "", &[]),
    other("VD", "VDR", &["VN"]),
    other("WK", "WAK", &["UM"]),
    other("XK", "XKX", &[]),
    other("YD", "YMD", &["YE"]),
    other("YU", "YUG", &["BA", "CS", "HR", "ME", "MK", "RS", "SI", "XK"]),
    other("ZR", "ZAR", &["CD"]),
];

fn other_region(alpha2: &str) -> Option<&'static OtherRegion> {
    OTHER_REGIONS.binary_search_by(|region| region.alpha2.cmp(alpha2)).ok().map(|at| &OTHER_REGIONS[at])
}

/// True for the code of a country or territory in upper case: of ISO 3166-1 alpha-2, or one of `OTHER_REGIONS`.
pub fn is_region(code: &str) -> bool {
    rust_iso3166::from_alpha2(code).is_some() || other_region(code).is_some()
}

/// True if two codes are of one region, or of a region and one that followed it: a person of SU may be a person of RU.
pub fn may_be_one_region(a: &str, b: &str) -> bool {
    let follows = |former: &str, code: &str| {
        let successors = |region: &'static OtherRegion| region.successors.iter();
        other_region(former).into_iter().flat_map(successors).any(|next| {
            *next == code || other_region(next).into_iter().flat_map(successors).any(|later| *later == code)
        })
    };
    a == b || follows(a, b) || follows(b, a)
}

/// True for a well-formed BCP 47 tag (RFC 5646).
pub fn is_language(tag: &str) -> bool {
    oxilangtag::LanguageTag::parse(tag).is_ok()
}

/// True for the name of a zone of the IANA time zone database, for an offset such as +04:00, and for Z.
pub fn is_time_zone(name: &str) -> bool {
    zones::zone(name).is_some()
}

/// Suggests a region for a code in lower case, with spaces around it, of three letters (alpha-3), or for "UK" and "FX".
pub fn nearest_region(code: &str) -> Option<String> {
    let upper = code.trim().to_ascii_uppercase();
    let former = |code: &str| {
        let named = OTHER_REGIONS.iter().find(|region| !region.alpha3.is_empty() && region.alpha3 == code);
        named.map(|region| region.alpha2)
    };
    match upper.as_str() {
        "UK" => Some("GB".to_owned()),
        "FX" => Some("FR".to_owned()),
        code if is_region(code) => Some(upper),
        code => {
            rust_iso3166::from_alpha3(code).map(|country| country.alpha2).or_else(|| former(code)).map(str::to_owned)
        }
    }
}

/// Suggests a language tag for a locale name such as `en_GB`. `None` for one that is longer than [`MAX_WORD_LENGTH`]:
/// a tag with extensions has no greatest length.
pub fn nearest_language(tag: &str) -> Option<String> {
    let tag = tag.trim();
    let tag = (tag.len() <= MAX_WORD_LENGTH).then(|| tag.replace('_', "-"))?;
    is_language(&tag).then_some(tag)
}

/// Suggests a time zone for a misspelt name or offset. Case is ignored.
pub fn nearest_time_zone(name: &str) -> Option<String> {
    let trimmed = name.trim();
    if trimmed.starts_with(['+', '-']) {
        return nearest_offset(trimmed);
    }
    let zones = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).chain(["Z"]);
    zones().find(|zone| zone.eq_ignore_ascii_case(trimmed)).or_else(|| nearest(zones(), name)).map(str::to_owned)
}

/// The offset in the form `+04:00` for one such as `+4`, `+04`, `+0400` or `+4:00`.
fn nearest_offset(offset: &str) -> Option<String> {
    let (sign, rest) = offset.split_at_checked(1)?;
    let (hours, minutes) = match (rest.split_once(':'), rest.len()) {
        (Some(parts), _) => parts,
        (None, 1 | 2) => (rest, "00"),
        (None, 3 | 4) => rest.split_at_checked(rest.len() - 2)?,
        _ => return None,
    };
    let offset = format!("{sign}{hours:0>2}:{minutes}");
    is_time_zone(&offset).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_suggests_a_code_for_a_misspelt_one() {
        for (code, region) in [
            ("az", Some("AZ")),
            ("AZE", Some("AZ")),
            ("UK", Some("GB")),
            ("fx", Some("FR")),
            ("eu", Some("EU")),
            ("YUG", Some("YU")),
            ("sun", Some("SU")),
            ("QQ", None),
            ("", None),
        ] {
            assert_eq!(nearest_region(code).as_deref(), region, "{code}");
        }
        assert_eq!(nearest_language("en_GB").as_deref(), Some("en-GB"));
        assert_eq!(nearest_language("english-languages"), None);
        let extended =
            |length: usize| format!("en_x_{}", "a_".repeat(length) + &"b".repeat(MAX_WORD_LENGTH - 5 - 2 * length));
        assert!(nearest_language(&extended(27)).is_some_and(|tag| tag.len() == MAX_WORD_LENGTH));
        assert_eq!(nearest_language(&(extended(27) + "_a")), None);
        for zone in ["asia/baku", "Asia/Bakku", "Asia/Baku "] {
            assert_eq!(nearest_time_zone(zone).as_deref(), Some("Asia/Baku"), "{zone}");
        }
        for (offset, nearest) in [
            ("z", Some("Z")),
            ("+4", Some("+04:00")),
            ("-0330", Some("-03:30")),
            ("+4:00", Some("+04:00")),
            ("+25:00", None),
            ("+", None),
            ("+é0", None),
        ] {
            assert_eq!(nearest_time_zone(offset).as_deref(), nearest, "{offset}");
        }
    }

    #[test]
    fn codes_follow_the_registries() {
        assert!(is_region("AZ") && is_region("XK"));
        assert!(!is_region("az") && !is_region("AZE") && !is_region("ZZ") && !is_region("") && !is_region("QQ"));
        assert!(is_language("en") && is_language("az-Latn") && !is_language("e") && !is_language("en_US"));
        assert!(is_time_zone("Asia/Baku") && is_time_zone("+04:00") && is_time_zone("Z"));
        assert!(!is_time_zone("Mars/Olympus") && !is_time_zone("+25:00") && !is_time_zone("z"));
    }

    #[test]
    fn withdrawn_and_reserved_codes_are_regions_and_second_codes_are_not() {
        for code in "AN BU CS CT DD DY FQ HV JT MI NH NQ NT PC PU PZ RH SU TP VD WK YD YU ZR".split(' ') {
            assert!(is_region(code), "{code} is withdrawn");
        }
        for code in "AC CP CQ DG EA EU EZ IC SU TA UN".split(' ') {
            assert!(is_region(code), "{code} is exceptionally reserved");
        }
        assert!(!is_region("UK") && !is_region("FX"));
    }

    #[test]
    fn other_regions_are_sorted_and_refer_to_regions() {
        assert!(OTHER_REGIONS.is_sorted_by(|a, b| a.alpha2 < b.alpha2));
        for region in &OTHER_REGIONS {
            assert!(rust_iso3166::from_alpha2(region.alpha2).is_none(), "{} is not another region", region.alpha2);
            assert!(region.successors.iter().all(|code| is_region(code)), "{}", region.alpha2);
        }
    }

    #[test]
    fn may_be_one_region_accepts_a_state_and_one_that_followed_it() {
        for (a, b) in [("AZ", "AZ"), ("SU", "RU"), ("RS", "YU"), ("YU", "CS"), ("DD", "DE"), ("ZR", "CD")] {
            assert!(may_be_one_region(a, b) && may_be_one_region(b, a), "{a} {b}");
        }
        for (a, b) in [("RU", "AZ"), ("DE", "AT"), ("EU", "FR"), ("SU", "YU")] {
            assert!(!may_be_one_region(a, b) && !may_be_one_region(b, a), "{a} {b}");
        }
    }
}
