//! Rules on articles: the text in its stored form, and when two articles say the same.

use sha2::{Digest, Sha256};

use super::canonical;
use crate::pb::{self, Article, ExternalId, article::TextRights};

/// The text's key in storage, and its `text_sha256`.
pub type TextHash = [u8; 32];

/// SHA-256 of a text in UTF-8.
pub fn text_hash(text: &str) -> TextHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Reads `Article.text_sha256`.
pub fn parse_text_hash(hex: &str) -> Option<TextHash> {
    let mut hash = TextHash::default();
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// Brings an article that a caller sent into its stored form: the text in NFC, which is measured, hashed and taken
/// out of the article. Answers the text, also one that may not be kept (see `keeps_text`).
pub fn take_text(article: &mut Article) -> String {
    let mut text = std::mem::take(&mut article.text);
    canonical::text(&mut text);
    article.text_length = 0;
    article.text_sha256.clear();
    if !text.is_empty() {
        if article.text_rights() == TextRights::Unspecified {
            article.set_text_rights(TextRights::FullText);
        }
        // At most 1 MiB: the number fits.
        article.text_length = text.chars().count() as i32;
        article.text_sha256 = text_hash(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    }
    text
}

/// The same for the next revision of an article, whose text was sent anew, or is left as it is.
pub fn take_next_text(article: &mut Article, former: &Article, is_sent: bool) -> String {
    if is_sent {
        let text = take_text(article);
        if text.is_empty() && !keeps_text(article) {
            carry_withheld_text(article, former);
        }
        return text;
    }
    if keeps_text(article) && !keeps_text(former) {
        // It was dropped, and may not be taken for one that is there.
        article.text_length = 0;
        article.text_sha256.clear();
    }
    if !article.text_sha256.is_empty() && article.text_rights() == TextRights::Unspecified {
        article.set_text_rights(TextRights::FullText);
    }
    String::new()
}

/// Whether the article's text may be stored and shown.
pub fn keeps_text(article: &Article) -> bool {
    article.text_rights() != TextRights::Withheld
}

/// The next state of a stored article that a story found by one of its uris. It has the content of the story, the stored
/// `uri`, and the other uris and external ids of both: a story that lists fewer does not say that the others are wrong.
pub fn found_by(sent: &Article, stored: &Article) -> Article {
    let mut alternate_uris = stored.alternate_uris.clone();
    alternate_uris.extend(uris(sent).filter(|uri| uris(stored).all(|known| known != *uri)).map(str::to_owned));
    let mut external_ids = stored.external_ids.clone();
    let is_new = |id: &&ExternalId| !stored.external_ids.contains(id);
    external_ids.extend(sent.external_ids.iter().filter(is_new).cloned());
    Article { uri: stored.uri.clone(), alternate_uris, external_ids, ..sent.clone() }
}

/// Whether `sent`, in its stored form, has the content of `stored`. The time of fetching is not content, and a withheld
/// text need not be sent again.
pub fn same_content(sent: &Article, stored: &Article) -> bool {
    canonical::is_same(&without_marks(sent, stored), &without_marks(stored, stored))
}

fn without_marks(article: &Article, stored: &Article) -> Article {
    let mut bare = article.clone();
    for output in [&mut bare.name, &mut bare.etag, &mut bare.origin] {
        output.clear();
    }
    bare.revision = 0;
    bare.create_time = None;
    bare.update_time = None;
    bare.delete_time = None;
    bare.retrieve_time = None;
    if !keeps_text(article) && bare.text_sha256.is_empty() {
        carry_withheld_text(&mut bare, stored);
    }
    bare
}

/// A withheld text that is not sent again is still the text that was measured before.
pub fn carry_withheld_text(article: &mut Article, stored: &Article) {
    article.text_length = stored.text_length;
    article.text_sha256.clone_from(&stored.text_sha256);
}

/// All URIs of an article: `uri`, then the alternate ones.
pub fn uris(article: &Article) -> impl Iterator<Item = &str> {
    std::iter::once(&article.uri).chain(&article.alternate_uris).map(String::as_str)
}

/// The uri of an encoded article, without reading the rest of it.
pub fn uri_of(article: &[u8]) -> Result<String, prost::DecodeError> {
    #[derive(prost::Message)]
    struct Uri {
        #[prost(string, tag = "10")]
        uri: String,
    }
    Ok(<Uri as prost::Message>::decode(article)?.uri)
}

/// The article in the BASIC view.
pub fn basic(mut article: Article) -> Article {
    article.text.clear();
    article
}

/// The region of the publisher, if there is one.
pub fn publisher_region(article: &Article) -> Option<&str> {
    let publisher: &pb::Publisher = article.publisher.as_ref()?;
    Some(publisher.region_code.as_str()).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_alone() {
        let article = Article { uri: "urn:a".into(), title: "A".into(), revision: 3, ..Default::default() };
        assert_eq!(uri_of(&prost::Message::encode_to_vec(&article)).as_deref(), Ok("urn:a"));
    }

    #[test]
    fn a_text_is_stored_in_nfc_and_measured_in_code_points() {
        let mut article = Article { text: "Cafe\u{301} 東京 🕊".into(), ..Default::default() };
        let text = take_text(&mut article);
        assert_eq!(text, "Café 東京 🕊");
        assert_eq!(article.text_length, 9);
        assert_eq!(article.text_rights(), TextRights::FullText);
        assert_eq!(parse_text_hash(&article.text_sha256), Some(text_hash(&text)));
    }

    #[test]
    fn a_text_that_was_dropped_does_not_come_back_with_its_rights() {
        let mut former = Article { text: "secret".into(), ..Default::default() };
        former.set_text_rights(TextRights::Withheld);
        take_text(&mut former);
        let mut next = former.clone();
        assert_eq!(take_next_text(&mut next, &former, false), "");
        assert_eq!(next, former);
        assert_eq!(take_next_text(&mut next, &former, true), "");
        assert_eq!(next, former);
        next.set_text_rights(TextRights::FullText);
        assert_eq!(take_next_text(&mut next, &former, false), "");
        assert_eq!((next.text_length, next.text_sha256.as_str()), (0, ""));
    }

    #[test]
    fn a_text_that_is_left_as_it_is_keeps_its_measure_and_has_rights() {
        let mut former = Article { text: "words".into(), ..Default::default() };
        take_text(&mut former);
        let mut next = former.clone();
        next.set_text_rights(TextRights::Unspecified);
        take_next_text(&mut next, &former, false);
        assert_eq!(next, former);
    }

    #[test]
    fn when_it_was_fetched_is_no_difference() {
        let stored = Article { uri: "urn:a".into(), revision: 3, ..Default::default() };
        let mut sent = Article { uri: "urn:a".into(), retrieve_time: Some(Default::default()), ..Default::default() };
        assert!(same_content(&sent, &stored));
        sent.title = "Another".into();
        assert!(!same_content(&sent, &stored));
    }

    #[test]
    fn found_by_keeps_the_uris_and_ids_of_both_articles() {
        let id = |value: &str| ExternalId { scheme: "isni".into(), value: value.into() };
        let article = |uri: &str, others: &[&str], ids: &[&str]| Article {
            uri: uri.into(),
            alternate_uris: others.iter().map(|uri| (*uri).to_owned()).collect(),
            external_ids: ids.iter().map(|value| id(value)).collect(),
            ..Default::default()
        };
        let stored = article("urn:a", &["urn:c", "urn:b"], &["2", "1"]);
        let known = found_by(&article("urn:b", &["urn:a"], &["1"]), &stored);
        assert_eq!(known, stored);
        let both = found_by(&article("urn:b", &["urn:d", "urn:a"], &["3", "2"]), &stored);
        assert_eq!(both, article("urn:a", &["urn:c", "urn:b", "urn:d"], &["2", "1", "3"]));
        assert!(!same_content(&both, &stored));
    }

    #[test]
    fn a_withheld_text_need_not_be_sent_again() {
        let mut stored = Article { text: "secret".into(), ..Default::default() };
        stored.set_text_rights(TextRights::Withheld);
        take_text(&mut stored);
        let mut sent = Article::default();
        sent.set_text_rights(TextRights::Withheld);
        take_text(&mut sent);
        assert!(same_content(&sent, &stored));
    }
}
