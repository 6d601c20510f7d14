//! Every part of a text without spaces is found, and only there: an oracle in plain code says where.

use std::collections::BTreeSet;

use readout::pb::{Article, ListArticlesRequest, ListStatementsRequest, Snippet, Statement};

use super::highlighted;
use crate::support::{Service, make};

/// Texts in scripts without spaces, in Hangul, and mixed with other scripts.
const TEXTS: [(&str, &str); 14] = [
    ("zh", "2025-04-14 越南越共中央总书记苏林访华，同中国领导人会谈。"),
    ("zh", "外交部发言人：双方2024年将深化合作，总书记出席。"),
    ("zh-TW", "美國國務卿訪問北京，與外長王　毅會面"),
    ("en", "The text says 苏林 in English."),
    ("ja", "大統領はｶﾞｰﾄﾞを訪れ、ベトナムの時々刻々と変わる情勢を議論した。"),
    ("ja", "ガソリンスタンドで首脳会談"),
    ("ko", "대통령은 한국대통령실에서 외교장관을 만났다"),
    ("th", "นายกรัฐมนตรีเดินทางเยือนกรุงเทพมหานครที่ผ่านมา"),
    ("km", "លោកនាយករដ្ឋមន្ត្រីបានជួបពិភាក្សា"),
    ("lo", "ນາຍົກລັດຖະມົນຕີໄດ້ພົບປະ"),
    ("my", "ဝန်ကြီးချုပ်နှင့်တွေ့ဆုံဆွေးနွေးခဲ့သည်"),
    ("zh", "会谈在北\n京举行"),
    ("bo", "བོད་ཀྱི་སྐད་ཡིག"),
    ("", "ꦧꦱꦗꦮ ᥖᥭᥰ ꊿꇯ"),
];

async fn found(service: &Service, query: &str) -> Vec<(usize, Snippet)> {
    let request = ListArticlesRequest { query: query.into(), page_size: 1_000, ..Default::default() };
    let page =
        service.articles.clone().list_articles(request).await.unwrap_or_else(|status| panic!("{query}: {status}"));
    let page = page.into_inner();
    let number = |article: &Article| article.uri.rsplit(':').next().unwrap().parse().unwrap();
    page.articles.iter().map(number).zip(page.snippets).collect()
}

/// The parts of a text of one to four characters in which no space, sign or word of another script is.
fn parts(text: &str) -> BTreeSet<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_part = |c: char| c.is_alphabetic() && c > '\u{e00}' || unicode_normalization::char::is_combining_mark(c);
    let mut parts = BTreeSet::new();
    for start in 0..chars.len() {
        for length in 1..=4 {
            let Some(part) = chars.get(start..start + length) else { continue };
            if part.iter().all(|c| is_part(*c)) && !unicode_normalization::char::is_combining_mark(part[0]) {
                parts.insert(part.iter().collect());
            }
        }
    }
    parts
}

#[tokio::test]
async fn every_part_of_a_text_without_spaces_is_found_and_highlighted() {
    let service = Service::start().await;
    for (number, (language, text)) in TEXTS.iter().enumerate() {
        let article = Article {
            text: (*text).into(),
            language_code: (*language).into(),
            ..make::article(&format!("urn:{number}"))
        };
        service.create_article(article).await;
    }
    // Tibetan has a sign between syllables, and so words.
    for (number, (language, text)) in TEXTS.iter().enumerate().filter(|(_, (language, _))| *language != "bo") {
        // Half-width letters are compared in the tests of letters.
        for part in parts(text).iter().filter(|part| !part.chars().any(|c| ('\u{ff00}'..'\u{fff0}').contains(&c))) {
            let found = found(&service, part).await;
            let expected: Vec<usize> = (0..)
                .zip(TEXTS)
                .filter(|(_, (_, text))| text.contains(part.as_str()))
                .map(|(number, _)| number)
                .collect();
            let numbers: BTreeSet<usize> = found.iter().map(|(number, _)| *number).collect();
            let missing: Vec<&usize> = expected.iter().filter(|number| !numbers.contains(number)).collect();
            assert!(missing.is_empty(), "{part:?} in {language}: {missing:?}");
            let snippet = &found.iter().find(|(found, _)| *found == number).unwrap().1;
            let shown = highlighted(snippet, text);
            // Parts that overlap are one highlight.
            assert!(shown.iter().any(|shown| shown.contains(part.as_str())), "{part:?} in {text:?}: {shown:?}");
        }
    }
    for (query, expected) in [
        ("苏林", &[0, 3][..]),
        ("访华", &[0]),
        ("总书记", &[0, 1]),
        ("总书记 -苏林", &[1]),
        ("2024年", &[1]),
        ("2025-04-14", &[0]),
        ("王毅", &[2]),
        ("北京", &[2, 11]),
        ("ガード", &[4]),
        ("대통령", &[6]),
        ("총리", &[]),
        ("林苏", &[]),
        ("\"苏林 访华\"", &[0]),
        ("苏林 or 国务卿", &[0, 3]),
        ("བོད", &[12]),
        ("བོད་ཀྱི", &[12]),
        ("苏*", &[0, 3]),
    ] {
        let numbers: Vec<usize> = found(&service, query)
            .await
            .into_iter()
            .map(|(number, _)| number)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        assert_eq!(numbers, expected, "{query}");
    }
}

#[tokio::test]
async fn part_of_a_long_text_is_found_at_its_end() {
    let service = Service::start().await;
    let (common, rare) = ("中国外交部发言人今天表示，".repeat(2_000), "越共中央总书记苏林访华");
    let text = format!("{common}{rare}。");
    service.create_article(Article { text: text.clone(), language_code: "zh".into(), ..make::article("urn:0") }).await;
    let words: String = (0..30_000).map(|number| format!("w{number} ")).collect();
    let words = format!("{words} the peace talks ended");
    service.create_article(Article { text: words.clone(), language_code: "en".into(), ..make::article("urn:1") }).await;
    for (query, number, shown, text) in [
        ("总书记", 0, &["总书记"][..], &text),
        ("中央总书记苏林访华", 0, &["中央总书记苏林访华"], &text),
        ("华", 0, &["华"], &text),
        ("\"the peace talks\"", 1, &["the", "peace", "talks"], &words),
        ("\"peace talk\"", 1, &["peace", "talks"], &words),
    ] {
        let found = found(&service, query).await;
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [number], "{query}");
        assert_eq!(highlighted(&found[0].1, text), shown, "{query}");
    }
}

#[tokio::test]
async fn arabic_and_persian_words_are_found_in_every_spelling() {
    let service = Service::start().await;
    let texts = ["رئیس جمهور ایران علی خامنه‌ای در کابل", "التقى الرئيس أحمد الوزيرة في مكتبة", "سنة ٢٠٢٤ و سال ۱۴۰۲"];
    for (number, text) in texts.iter().enumerate() {
        let article =
            Article { text: (*text).into(), language_code: "fa".into(), ..make::article(&format!("urn:{number}")) };
        service.create_article(article).await;
    }
    for (query, number, shown) in [
        ("علي", 0, "علی"),
        ("كابل", 0, "کابل"),
        ("رييس", 0, "رئیس"),
        ("خامنه ای", 0, ""),
        ("احمد", 1, "أحمد"),
        ("آحمد", 1, "أحمد"),
        ("مکتبه", 1, "مكتبة"),
        ("الوزيره", 1, "الوزيرة"),
        ("التقي", 1, "التقى"),
        ("2024", 2, "٢٠٢٤"),
        ("1402", 2, "۱۴۰۲"),
        ("۲۰۲۴", 2, "٢٠٢٤"),
        ("الوز*", 1, "الوزيرة"),
    ] {
        let found = found(&service, query).await;
        if shown.is_empty() {
            // A space in place of a joiner makes other words.
            assert!(found.is_empty(), "{query}");
            continue;
        }
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [number], "{query}");
        assert_eq!(highlighted(&found[0].1, texts[number]), [shown], "{query}");
    }
}

#[tokio::test]
async fn statements_are_found_by_any_part_of_a_text_without_spaces() {
    let mut service = Service::start().await;
    let mut story = make::story("urn:a", &[make::person("苏林", "VN")]);
    let account = story.reports[0].account.as_mut().unwrap();
    let speakers = vec![account.participations[0].id.clone()];
    let text = "双方将深化全面战略合作伙伴关系";
    account.statements = vec![Statement { id: "1".into(), text: text.into(), speakers, ..Default::default() }];
    service.ingest.ingest_story(make::ingest(story)).await.unwrap();
    for part in parts(text) {
        let request = ListStatementsRequest { query: part.clone(), query_language: "zh".into(), ..Default::default() };
        let found = service.meetings.list_statements(request).await.unwrap().into_inner().results;
        assert_eq!(found.len(), 1, "{part}");
        assert!(highlighted(found[0].snippet.as_ref().unwrap(), text).contains(&part), "{part}");
    }
}
