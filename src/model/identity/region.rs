//! Families of names by region: how names are spelled there, and which of their parts may be missing.

/// A family of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Latin names in English: middle names are often left out.
    English,
    /// Latin names with two family names, of which the second is often left out.
    Iberian,
    /// Latin names in which two given names are another person than the first alone.
    Native,
    /// Names of syllables: Chinese, Vietnamese, Burmese, Khmer.
    Syllables,
    /// Korean names.
    Korean,
    /// Chains of fathers' names.
    Chain,
    /// All others: names in another script, or of many languages.
    Other,
    /// The region is not known.
    Unknown,
}

impl Family {
    /// The family of a region.
    pub fn of(region: &str) -> Self {
        match region {
            "" => Self::Unknown,
            "US" | "GB" | "IE" | "CA" | "AU" | "NZ" | "BS" | "BB" | "JM" | "TT" | "GD" | "AG" | "LC" | "VC" | "KN"
            | "DM" | "BZ" | "GY" | "BM" | "KY" | "VG" | "TC" | "AI" | "MS" | "FK" | "GI" | "SH" | "IM" | "JE"
            | "GG" => Self::English,
            "ES" | "PT" | "TP" | "AR" | "BO" | "BR" | "CL" | "CO" | "CR" | "CU" | "DO" | "EC" | "GT" | "HN" | "MX"
            | "NI" | "PA" | "PE" | "PR" | "PY" | "SV" | "UY" | "VE" | "PH" | "AO" | "MZ" | "CV" | "GW" | "ST"
            | "TL" | "AD" | "GQ" => Self::Iberian,
            "FR" | "DE" | "DD" | "CS" | "AT" | "CH" | "BE" | "NL" | "LU" | "IT" | "SM" | "VA" | "MC" | "LI" | "NO"
            | "SE" | "DK" | "FI" | "IS" | "FO" | "GL" | "AX" | "CZ" | "SK" | "PL" | "HU" | "SI" | "HR" | "RO"
            | "MT" | "NC" | "PF" | "IL" | "EE" | "LT" | "LV" | "MH" | "FM" | "PW" | "NR" | "KI" | "TV" | "WS"
            | "AS" | "TO" | "VU" | "SB" | "PG" | "FJ" | "CK" | "NU" | "TK" | "WF" | "GU" | "MP" => Self::Native,
            "CN" | "TW" | "HK" | "MO" | "SG" | "VN" | "VD" | "MM" | "BU" | "KH" => Self::Syllables,
            "KR" | "KP" => Self::Korean,
            "SA" | "AE" | "QA" | "KW" | "BH" | "OM" | "YE" | "YD" | "NT" | "IQ" | "JO" | "LB" | "SY" | "PS" | "EG"
            | "SD" | "LY" | "TN" | "DZ" | "MA" | "MR" | "SO" | "DJ" | "KM" | "MV" | "PK" | "AF" | "IR" | "MY"
            | "BN" | "ID" | "TZ" | "KE" | "BD" | "EH" => Self::Chain,
            _ => Self::Other,
        }
    }

    /// True if names there are written in Latin letters by their bearers, so that another spelling is another name.
    pub fn is_native_latin(self) -> bool {
        matches!(self, Self::English | Self::Iberian | Self::Native | Self::Unknown)
    }
}

/// True for regions in which a second given name makes another person of the first.
pub fn has_double_names(region: &str) -> bool {
    matches!(
        region,
        "NO" | "SE"
            | "DK"
            | "FI"
            | "IS"
            | "FO"
            | "AX"
            | "DE"
            | "DD"
            | "AT"
            | "CH"
            | "NL"
            | "BE"
            | "LU"
            | "FR"
            | "LI"
            | "IL"
    )
}

/// True for regions whose names reach the Latin script by transliteration, or are respelled by neighbours.
pub fn is_respelled(region: &str) -> bool {
    matches!(region, "IL" | "LV")
}
