//! Pairs that look like one person or like two, and are not.

use super::{
    super::{Appearance, Context, Level, Profile, ReasonKind, compare},
    compared, level, person, person_with, profile,
};
use crate::pb::{Participant, participant::Kind};

/// Asserts that the pairs, of one region each, are not confident.
fn assert_two(pairs: &[(&str, &str, &str)]) {
    for (a, b, region) in pairs {
        assert!(level(a, b, region) < Level::Confident, "{a:?} and {b:?} of {region:?}: {:?}", compared(a, b, region));
    }
}

/// Asserts that the pairs, of one region each, are confident.
fn assert_one(pairs: &[(&str, &str, &str)]) {
    for (a, b, region) in pairs {
        assert_eq!(
            level(a, b, region),
            Level::Confident,
            "{a:?} and {b:?} of {region:?}: {:?}",
            compared(a, b, region)
        );
    }
}

#[test]
fn compare_allows_accents_only_when_a_region_is_unset() {
    assert_one(&[("Alpha Conde", "Alpha Condé", ""), ("Janez Jansa", "Janez Janša", "")]);
    assert_two(&[
        ("Yury Petrov", "Jury Petrov", ""),
        ("Nouri al-Maliki", "Nuri Maliki", ""),
        ("Ali Karti", "Ahmed Ali Karti", ""),
    ]);
    let confident = |a: &Profile, b: &Profile| compare(a, b, &Context::default()).level == Level::Confident;
    assert!(confident(&profile("Angela Merkel", "DE"), &profile("Angela Merkel", "")));
    assert!(!confident(&profile("Erlan Idrissov", "KZ"), &profile("Yerlan Idrisov", "")));
}

#[test]
fn compare_is_at_most_possible_for_regions_that_differ() {
    let compared = |a: &str, b: &str| compare(&profile(a, "GB"), &profile(b, "AU"), &Context::default()).level;
    assert_eq!(compared("John Smith", "John Smith"), Level::Possible);
    assert_eq!(compared("John Smith", "John Smyth"), Level::No);
}

#[test]
fn compare_separates_native_latin_names_that_sound_alike() {
    assert_two(&[
        ("David Davies", "David Davis", "GB"),
        ("Libor Novák", "Libor Nowak", "CZ"),
        ("Arvid Johansen", "Arvid Johanson", "NO"),
        ("Walter Schmidt", "Walter Schmied", "CH"),
        ("Paul Girvan", "Paul Givan", "GB"),
        ("Balan Ioan", "Bălan Ion", "RO"),
    ]);
}

#[test]
fn compare_separates_double_given_names() {
    assert_two(&[
        ("Kjell Bondevik", "Kjell Magne Bondevik", "NO"),
        ("Hans Fehr", "Hans-Jürg Fehr", "CH"),
        ("Jean Dupont", "Jean-Claude Dupont", "FR"),
    ]);
    assert_one(&[("Dilma Rousseff", "Dilma Vana Rousseff", "BR"), ("John Howard", "John Winston Howard", "AU")]);
}

#[test]
fn compare_allows_muhammad_and_family_names_with_an_article_to_be_extra() {
    assert_one(&[
        ("Nawaz Sharif", "Mian Muhammad Nawaz Sharif", "PK"),
        ("Hussein Tantawi", "Mohammed Hussein Tantawi", "EG"),
        ("Mohammed bin Salman", "Mohammed bin Salman Al Saud", "SA"),
    ]);
}

#[test]
fn compare_separates_a_son_from_the_father_in_his_name() {
    assert_two(&[
        ("Ali Abdullah Saleh", "Ahmed Ali Abdullah Saleh", "YE"),
        ("Hamad bin Khalifa", "Tamim bin Hamad bin Khalifa", "QA"),
        ("Sheikh Hamad bin Khalifa al Thani", "Bin Hamad Bin Khalifa Al-Thani Sheikh Tamim", "QA"),
        ("Nawaz Sharif", "Maryam Nawaz Sharif", "PK"),
        ("Idriss Deby", "Mahamat Idriss Deby", "TD"),
        ("Aung San", "Aung San Suu Kyi", "MM"),
        ("Hassan Mohamed", "Hassan Mohamed Ali", "TZ"),
        ("Seretse Khama", "Seretse Khama Ian Khama", "BW"),
    ]);
}

#[test]
fn compare_rotates_the_syllables_of_a_korean_name() {
    assert_one(&[
        ("Park Geun-hye", "Geun-hye Park", "KR"),
        ("Kim Jong Un", "Jong-un Kim", "KP"),
        ("Ri Yong Ho", "Lee Yong-ho", "KP"),
        ("Kim Jong Un", "김정은", "KP"),
        ("Roh Moo-hyun", "No Mu-hyun", "KR"),
    ]);
    assert_two(&[
        ("JUNG Sung Ho", "YUN Ho Jung", "KR"),
        ("Kim Yong Il", "Kim Il Yong", "KP"),
        ("Kim Chol", "Kim Chol-ho", "KP"),
        ("HONG Ihk Pyo", "HONG Il Pyo", "KR"),
        ("Kim Jong Un", "Kim Jong Nam", "KP"),
    ]);
}

#[test]
fn compare_reads_wade_giles_and_no_other_syllable() {
    assert_one(&[
        ("Deng Xiaoping", "Teng Hsiao-p'ing", "CN"),
        ("Zhu Rongji", "Chu Jung-chi", "CN"),
        ("Hu Jintao", "胡錦濤", "CN"),
        ("Goh Chok Tong", "Chok Tong Goh", "SG"),
    ]);
    assert_two(&[
        ("Wang Yi", "Wang Yu", "CN"),
        ("Yang Jiechi", "Yang Jiechang", "CN"),
        ("Nguyen Van Binh", "Nguyen Van Minh", "VN"),
    ]);
}

#[test]
fn compare_is_no_for_other_generations_ordinals_and_genders() {
    for (a, b, region, kind) in [
        ("George Bush Sr", "George Bush Jr.", "US", ReasonKind::Generation),
        ("Miloslav Kučera ml.", "Miloslav Kučera st.", "CZ", ReasonKind::Generation),
        ("King Abdullah II", "King Abdullah III", "JO", ReasonKind::Ordinal),
        ("Pope John Paul II", "Pope John Paul I", "VA", ReasonKind::Ordinal),
        ("Alexei Ivanov", "Alexei Ivanova", "RU", ReasonKind::OwnNames),
        ("Robert Gates", "Robert Rubin", "US", ReasonKind::OwnNames),
    ] {
        let compared = compared(a, b, region);
        let reasons: Vec<_> = compared.reasons.iter().map(|reason| reason.kind).collect();
        assert_eq!(compared.level, Level::No, "{a:?} and {b:?}");
        assert!(reasons.contains(&kind), "{a:?} and {b:?}: {reasons:?}");
    }
    assert_eq!(level("Hakob G. Hakobyan", "Hakob R. Hakobyan", "AM"), Level::No);
    assert_eq!(level("George H. Bush", "George W. Bush", "US"), Level::No);
}

#[test]
fn compare_separates_names_of_which_both_have_initials_and_one_has_more() {
    assert_two(&[
        ("George H. W. Bush", "George W. Bush", "US"),
        ("George H.W. Bush", "George W. Bush", "US"),
        ("John R. R. Tolkien", "John R. Tolkien", "GB"),
    ]);
    assert_one(&[
        ("George Bush", "George W. Bush", "US"),
        ("George Bush", "George H. W. Bush", "US"),
        ("George H. W. Bush", "George H.W. Bush", "US"),
    ]);
}

#[test]
fn compare_is_possible_if_one_side_has_a_generation() {
    assert_two(&[
        ("Vaclav Klaus", "Vaclav Klaus Jr.", "CZ"),
        ("Terepai Maoate", "Terepai Maoate Jnr", "CK"),
        ("Juan Carlos", "Juan Carlos I", "ES"),
    ]);
}

#[test]
fn compare_needs_more_than_common_names() {
    assert_two(&[
        ("Paul Evans Aidoo", "Evans Paul Aidoo", "GH"),
        ("Raj Singh", "Raj Kumar Singh", "IN"),
        ("Manmohan Singh", "Natwar Singh", "IN"),
        ("Mohammed Ali", "Mohammed Ali Hassan", "EG"),
        ("Nguyen Van", "Nguyen Van An", "VN"),
    ]);
}

#[test]
fn compare_separates_successors_of_like_name() {
    assert_two(&[
        ("King Norodom Sihanouk", "King Norodom Sihamoni", "KH"),
        ("Norodom Sihanouk", "Norodom Monineath Sihanouk", "KH"),
        ("Kim Hyong-o", "Kim One-ki", "KR"),
        // Bearers write these names in Latin letters.
        ("Amata Kabua", "Imata Kabua", "MH"),
        ("Tofilau Eti", "Tofilau Eta", "WS"),
        ("Feleti Sevele", "Feleti Savele", "TO"),
    ]);
    // The same office, but one after the other.
    let office = |day| Appearance { title: "King".into(), first_day: Some(day), ..Appearance::default() };
    let (a, b) = ([office(0), office(1_000)], [office(1_100), office(2_000)]);
    let (sihanouk, sihamoni) = (profile("Norodom Sihanouk", "KH"), profile("Norodom Sihamoni", "KH"));
    assert!(compare(&sihanouk, &sihamoni, &Context { a: &a, b: &b }).level < Level::Confident);
}

#[test]
fn compare_raises_a_possible_pair_by_the_same_office_at_an_overlapping_date() {
    let office = |title: &str, day| Appearance { title: title.into(), first_day: Some(day), ..Appearance::default() };
    let (a, b) = (profile("Barack Obama", "US"), profile("Barak Obama", "US"));
    let term = [office("President", 0), office("President", 900)];
    let level = |other: Appearance| compare(&a, &b, &Context { a: &term, b: &[other] }).level;
    assert_eq!(compare(&a, &b, &Context::default()).level, Level::Possible);
    assert_eq!(level(office("President", 400)), Level::Confident);
    assert_eq!(level(office("Senator", 400)), Level::Possible);
    assert_eq!(level(office("President", 1_500)), Level::Possible);
}

#[test]
fn compare_lowers_a_pair_that_is_far_apart_or_in_two_top_offices() {
    let office = |title: &str, day| Appearance {
        title: title.into(),
        seniority: 1,
        first_day: Some(day),
        ..Appearance::default()
    };
    let (a, b) = (profile("John Howard", "AU"), profile("John Winston Howard", "AU"));
    let level = |left: Appearance, right: Appearance| compare(&a, &b, &Context { a: &[left], b: &[right] }).level;
    assert_eq!(level(office("Prime Minister", 0), office("Prime Minister", 100)), Level::Confident);
    assert_eq!(level(office("Prime Minister", 0), office("Prime Minister", 46 * 366)), Level::Possible);
    assert_eq!(level(office("Prime Minister", 0), office("President", 0)), Level::Possible);
    assert_eq!(level(office("Prime Minister", 0), office("President", 1)), Level::Confident);
}

#[test]
fn compare_follows_external_ids_before_names() {
    let level = |a: &Participant, b: &Participant| compare(&Profile::of(a), &Profile::of(b), &Context::default()).level;
    let with_id = |name: &str, id: &str| person_with(name, "AZ", &[], id);
    assert_eq!(level(&with_id("A B", "Q1"), &with_id("C D", "Q1")), Level::Confident);
    assert_eq!(level(&with_id("Karim Valiyev", "Q1"), &with_id("Karim Valiyev", "Q2")), Level::No);
    assert_eq!(level(&with_id("Karim Valiyev", "Q1"), &with_id("Karim Valiyev", "")), Level::Confident);
}

#[test]
fn compare_uses_every_name_of_a_participant() {
    let a = Profile::of(&person_with("Prachanda", "NP", &["Pushpa Kamal Dahal"], ""));
    assert_eq!(compare(&a, &profile("Pushpa Kamal Dahal", "NP"), &Context::default()).level, Level::Confident);
}

#[test]
fn compare_is_strict_with_organizations() {
    let body = |name: &str| {
        let mut body = person(name, "AZ");
        body.set_kind(Kind::Organization);
        Profile::of(&body)
    };
    let level = |a: &str, b: &str| compare(&body(a), &body(b), &Context::default()).level;
    assert_eq!(level("Ministry of Defence", "Defence Ministry"), Level::Confident);
    assert_eq!(level("Ministry of Defence", "ministry of defence"), Level::Confident);
    assert_eq!(level("OSCE", "Organization Security Cooperation Europe"), Level::Possible);
    assert_eq!(level("Ministry of Defence", "Ministry of Finance"), Level::No);
    assert_eq!(level("Bank Respublika", "Bank Republika"), Level::No);
    assert_eq!(level("1st Army Corps", "2nd Army Corps"), Level::No);
    assert_eq!(compare(&body("Karim"), &profile("Karim", "AZ"), &Context::default()).level, Level::No);
}

#[test]
fn compare_never_takes_digits_for_alike() {
    assert_two(&[("John Smith 12345678", "John Smith 12345679", "US"), ("Agent 007", "Agent 006", "GB")]);
}

#[test]
fn compare_answers_for_bad_names() {
    let long = vec!["Muhammad Ali"; 150].join(" ");
    let names = [
        "A",
        "1",
        "\u{1f642}",
        "...",
        "Sheikh",
        "Sir Dr. Prof.",
        "Иван Smith 王",
        "\u{0301}",
        "-",
        "Jr.",
        "II",
        &long,
        "al",
        "bin bin",
    ];
    for a in names {
        for b in names {
            for region in ["", "US", "KR", "CN", "RU", "SA"] {
                let compared = compared(a, b, region);
                assert!((0. ..=1.).contains(&compared.score), "{a:?} and {b:?}: {compared:?}");
                if a != b {
                    assert!(compared.level < Level::Confident, "{a:?} and {b:?} of {region:?}: {compared:?}");
                }
            }
        }
    }
}
