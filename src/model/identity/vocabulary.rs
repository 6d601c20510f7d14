//! Words that are no names: titles, particles, generations; and words that say little: common names.

/// True for a title. It is dropped while two other tokens remain.
pub fn is_title(word: &str) -> bool {
    is_in(TITLES, word)
}

/// True for words that are titles or names: they may be extra, but are not dropped.
pub fn may_be_title(word: &str) -> bool {
    is_in(MAYBE_TITLE, word)
}

/// True for particles, which are never compared.
pub fn is_particle(word: &str) -> bool {
    is_in(PARTICLE, word)
}

/// True for articles of Arabic before a family name.
pub fn is_article(word: &str) -> bool {
    matches!(word, "al" | "el" | "ال")
}

/// True for articles that are only joined by a hyphen, assimilated to the next letter.
pub fn is_joined_article(word: &str) -> bool {
    is_in(JOINED_ARTICLE, word)
}

/// True for words between a name and that of the father.
pub fn is_filial(word: &str) -> bool {
    is_in(FILIAL, word)
}

/// A generation: "Jr", "Sr".
pub fn generation(word: &str) -> Option<u8> {
    match word {
        "sr" | "snr" | "senior" | "st" | "starsi" | "старший" => Some(1),
        "jr" | "jnr" | "junior" | "ml" | "mladsi" | "hijo" | "filho" | "младший" => Some(2),
        "neto" => Some(3),
        _ => None,
    }
}

/// The ordinal of a Roman numeral from I to XXIX.
pub fn ordinal(word: &str) -> Option<u8> {
    let (tens, units) = word.split_at(word.len() - word.trim_start_matches('x').len());
    let units = match units {
        "" => 0,
        "i" => 1,
        "ii" => 2,
        "iii" => 3,
        "iv" => 4,
        "v" => 5,
        "vi" => 6,
        "vii" => 7,
        "viii" => 8,
        "ix" => 9,
        _ => return None,
    };
    let value = u8::try_from(tens.len()).ok().filter(|tens| *tens <= 2)? * 10 + units;
    (value > 0).then_some(value)
}

/// True for Muhammad in its spellings, which a name may have or not.
pub fn is_muhammad(word: &str) -> bool {
    is_in(MUHAMMAD, word)
}

/// True for a very common name. Two such names together do not identify a person.
pub fn is_common(word: &str) -> bool {
    is_muhammad(word) || is_in(COMMON, word)
}

/// True for titles that are nobody's name, so that they are dropped anywhere.
pub fn is_never_name(word: &str) -> bool {
    is_in(NEVER_NAME, word)
}

/// True if the list, separated by spaces, has the word.
fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == word)
}

const MAYBE_TITLE: &str = "\
    sultan tun mian haji hajji hadj hadji habj syed seyed sayed sayyid khawaja chaudhry chaudhary begum imam \
    mullah emir amir rao pastor pandit ayatollah thura maha shah hj nawab";

const PARTICLE: &str = "\
    al el bin ibn ben bint binti bte bt ibni ould wuld ul ud ur de da do dos das del della dela di du des van von \
    der den ter ten te la le les las los lo y zu zum zur af av und the of and oglu ogly oghlu qizi kyzy gyzy оглы \
    оглу кызы угли بن ابن ال almarhum";

const JOINED_ARTICLE: &str = "\
    al el ar er as es ash esh ad ed an en at et az ez ul ur";

const FILIAL: &str = "\
    bin ibn ben bint binti bte bt ibni بن ابن ould wuld";

const MUHAMMAD: &str = "\
    muhammad mohammad mohammed mohamed mohamad muhammed muhamad muhamed mohd md mohamud mohamod mohamoud mouhamed \
    mohammod محمد мухаммад мохаммед";

const NEVER_NAME: &str = "\
    sheikh sheik shaikh shaykh shri smt dato datuk datin seri dr mr mrs hon prof sir samdech techo hrh gen lt col \
    ing mag sengen mgr judr mudr rndr phdr ir";

const TITLES: &str = "\
    acad adm admiral alhaj alhaji ambassador archbishop awang baron baroness bca bcs bishop brig brigadier \
    cabinet capt captain cardinal cbe chancellor chief col colonel comrade councillor countess crown csc dame \
    datin dato datuk daw dayang dipl dkfm doctor dom dott dottor dr dra drs drsc duchess duke emeritus emperor \
    empress eng engr esq excellency frau gcmg gen general gov governor grand herr hh highness his hm hon \
    honorable honourable hrh ing ir judge judr justice kc kcmg kh king kolonel lady laird lord lt ltc ltgen mag \
    magister maj majesty major marshal mba mbe mdm mep mgr minister miss mme mohtarma mp mph mr mrdr mrs ms msc \
    mssr mudr mvdr obe opan paeddr patriarch pehin pengiran pg phd phdr phein pope premier president prince \
    princess prof professor puan qc queen rabbi raden ratu rear rep rev reverend rndr roi rt samdech sayyida \
    secretary senator sengen senior seri sgt shaikh shaykh sheik sheikh shri shrimati sig sir smt sri sushri td \
    techo tengku thdr thlic tuanku tunku ustaz vice viscount yab yb король принц шейх الأمير الدكتور السيد الشيخ \
    دكتور شيخ";

const COMMON: &str = "\
    ahmad ahmed ali hassan hasan hussein hussain husain husayn abdullah abdallah abdalla abdulla abdul abd \
    ibrahim ismail khan singh kumar kaur prasad lal ram devi shah begum haji said omar umar yusuf juma rahman \
    rahim aziz kim lee park nguyen van thi";
