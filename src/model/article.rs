//! Rules on articles: the stored form of the text, and equality of content.

use sha2::{Digest, Sha256};

use super::canonical;
use crate::pb::{self, Article, ExternalId, article::TextRights};

/// SHA-256 of a text: the key of the text in storage, and the value of `text_sha256`.
pub type TextHash = [u8; 32];

/// SHA-256 of a text in UTF-8.
pub fn text_hash(text: &str) -> TextHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Parses `Article.text_sha256`: 64 hexadecimal digits.
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

/// Brings an article from a request into its stored form. Takes the text out, normalises it to NFC and sets its length
/// and hash. Returns the text, even if it may not be stored (see [`may_store_text`]).
pub fn take_text(article: &mut Article) -> String {
    let mut text = std::mem::take(&mut article.text);
    canonical::text(&mut text);
    article.text_length = 0;
    article.text_sha256.clear();
    if !text.is_empty() {
        if article.text_rights() == TextRights::Unspecified {
            article.set_text_rights(TextRights::FullText);
        }
        // The text has at most 1 MiB: the length fits.
        article.text_length = text.chars().count() as i32;
        article.text_sha256 = text_hash(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    }
    text
}

/// [`take_text`] for the next revision of an article. `is_sent`: the request has a text; otherwise the former text
/// stays. `is_kept`: the former text is stored, even if it is hidden.
pub fn take_next_text(article: &mut Article, former: &Article, is_sent: bool, is_kept: bool) -> String {
    if is_sent {
        let text = take_text(article);
        if text.is_empty() && !may_store_text(article) {
            carry_withheld_text(article, former);
        }
        return text;
    }
    if shows_again(former, article) && !is_kept {
        // The former text is not stored for this article: its hash must not refer to a text that another one stores.
        article.text_length = 0;
        article.text_sha256.clear();
    }
    if !article.text_sha256.is_empty() && article.text_rights() == TextRights::Unspecified {
        article.set_text_rights(TextRights::FullText);
    }
    String::new()
}

/// True if the article's text may be stored and shown.
pub fn may_store_text(article: &Article) -> bool {
    article.text_rights() != TextRights::Withheld
}

/// True if the texts of an article, hidden in its former revision, are shown again by the next one.
pub fn shows_again(former: &Article, next: &Article) -> bool {
    !may_store_text(former) && may_store_text(next)
}

/// The next state of a stored article that an ingested story refers to by one of its uris. It has the content of the
/// story, the stored `uri`, and the alternate uris and external ids of both: a story that omits some does not retract
/// them. A withheld text stays withheld if the story has neither a text nor text rights.
pub fn update_from_story(sent: &Article, stored: &Article) -> Article {
    let mut alternate_uris = stored.alternate_uris.clone();
    alternate_uris
        .extend(uris(sent).filter(|uri| uris(stored).all(|stored_uri| stored_uri != *uri)).map(str::to_owned));
    let mut external_ids = stored.external_ids.clone();
    let is_new = |id: &&ExternalId| !stored.external_ids.contains(id);
    external_ids.extend(sent.external_ids.iter().filter(is_new).cloned());
    let mut next = Article { uri: stored.uri.clone(), alternate_uris, external_ids, ..sent.clone() };
    let is_stated = sent.text_rights() != TextRights::Unspecified || !sent.text_sha256.is_empty();
    if !is_stated && !may_store_text(stored) {
        next.set_text_rights(TextRights::Withheld);
    }
    next
}

/// True if `sent`, in its stored form, has the content of `stored`. The time of retrieval is not content. A withheld
/// text need not be sent again.
pub fn same_content(sent: &Article, stored: &Article) -> bool {
    canonical::is_same(&without_marks(sent, stored), &without_marks(stored, stored))
}

fn without_marks(article: &Article, stored: &Article) -> Article {
    let mut bare = article.clone();
    for output in [&mut bare.name, &mut bare.etag, &mut bare.origin] {
        output.clear();
    }
    bare.origin_overlap = 0.0;
    bare.revision = 0;
    bare.create_time = None;
    bare.update_time = None;
    bare.delete_time = None;
    bare.retrieve_time = None;
    if !may_store_text(article) && bare.text_sha256.is_empty() {
        carry_withheld_text(&mut bare, stored);
    }
    bare
}

/// Copies the length and hash of a withheld text that was not sent again.
pub fn carry_withheld_text(article: &mut Article, stored: &Article) {
    article.text_length = stored.text_length;
    article.text_sha256.clone_from(&stored.text_sha256);
}

/// All URIs of an article: `uri`, then the alternate ones.
pub fn uris(article: &Article) -> impl Iterator<Item = &str> {
    std::iter::once(&article.uri).chain(&article.alternate_uris).map(String::as_str)
}

/// Decodes the uri of an encoded article, and no other field.
///
/// # Errors
/// If the bytes are not an encoded article.
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

/// The region code of the publisher, if set.
pub fn publisher_region(article: &Article) -> Option<&str> {
    let publisher: &pb::Publisher = article.publisher.as_ref()?;
    Some(publisher.region_code.as_str()).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_of_decodes_the_uri() {
        let article = Article { uri: "urn:a".into(), title: "A".into(), revision: 3, ..Default::default() };
        assert_eq!(uri_of(&prost::Message::encode_to_vec(&article)).as_deref(), Ok("urn:a"));
    }

    #[test]
    fn take_text_normalises_to_nfc_and_counts_code_points() {
        let mut article = Article { text: "Cafe\u{301} 東京 🕊".into(), ..Default::default() };
        let text = take_text(&mut article);
        assert_eq!(text, "Café 東京 🕊");
        assert_eq!(article.text_length, 9);
        assert_eq!(article.text_rights(), TextRights::FullText);
        assert_eq!(parse_text_hash(&article.text_sha256), Some(text_hash(&text)));
    }

    #[test]
    fn withheld_text_returns_with_its_rights_only_if_it_is_kept() {
        let mut former = Article { text: "secret".into(), ..Default::default() };
        former.set_text_rights(TextRights::Withheld);
        take_text(&mut former);
        let mut next = former.clone();
        assert_eq!(take_next_text(&mut next, &former, false, true), "");
        assert_eq!(next, former);
        assert_eq!(take_next_text(&mut next, &former, true, true), "");
        assert_eq!(next, former);
        next.set_text_rights(TextRights::FullText);
        assert_eq!(take_next_text(&mut next, &former, false, true), "");
        assert_eq!((next.text_length, &next.text_sha256), (6, &former.text_sha256));
        assert_eq!(take_next_text(&mut next, &former, false, false), "");
        assert_eq!((next.text_length, next.text_sha256.as_str()), (0, ""));
    }

    #[test]
    fn text_that_is_not_sent_keeps_its_length_and_rights() {
        let mut former = Article { text: "words".into(), ..Default::default() };
        take_text(&mut former);
        let mut next = former.clone();
        next.set_text_rights(TextRights::Unspecified);
        take_next_text(&mut next, &former, false, true);
        assert_eq!(next, former);
    }

    #[test]
    fn same_content_ignores_the_time_of_retrieval() {
        let stored = Article { uri: "urn:a".into(), revision: 3, ..Default::default() };
        let mut sent = Article { uri: "urn:a".into(), retrieve_time: Some(Default::default()), ..Default::default() };
        assert!(same_content(&sent, &stored));
        sent.title = "Another".into();
        assert!(!same_content(&sent, &stored));
    }

    #[test]
    fn update_from_story_keeps_the_uris_and_ids_of_both_articles() {
        let id = |value: &str| ExternalId { scheme: "isni".into(), value: value.into() };
        let article = |uri: &str, others: &[&str], ids: &[&str]| Article {
            uri: uri.into(),
            alternate_uris: others.iter().map(|uri| (*uri).to_owned()).collect(),
            external_ids: ids.iter().map(|value| id(value)).collect(),
            ..Default::default()
        };
        let stored = article("urn:a", &["urn:c", "urn:b"], &["2", "1"]);
        let unchanged = update_from_story(&article("urn:b", &["urn:a"], &["1"]), &stored);
        assert_eq!(unchanged, stored);
        let both = update_from_story(&article("urn:b", &["urn:d", "urn:a"], &["3", "2"]), &stored);
        assert_eq!(both, article("urn:a", &["urn:c", "urn:b", "urn:d"], &["2", "1", "3"]));
        assert!(!same_content(&both, &stored));
    }

    #[test]
    fn update_from_story_keeps_a_text_withheld_unless_the_story_states_its_rights() {
        let stored = Article { text_rights: TextRights::Withheld.into(), ..Default::default() };
        let rights = |sent: &Article| update_from_story(sent, &stored).text_rights();
        assert_eq!(rights(&Article::default()), TextRights::Withheld);
        for stated in [TextRights::FullText, TextRights::Excerpt, TextRights::Withheld] {
            assert_eq!(rights(&Article { text_rights: stated.into(), ..Default::default() }), stated);
        }
        let mut with_text = Article { text: "words".into(), ..Default::default() };
        take_text(&mut with_text);
        assert_eq!(rights(&with_text), TextRights::FullText);
    }

    #[test]
    fn same_content_accepts_a_withheld_text_that_is_not_sent_again() {
        let mut stored = Article { text: "secret".into(), ..Default::default() };
        stored.set_text_rights(TextRights::Withheld);
        take_text(&mut stored);
        let mut sent = Article::default();
        sent.set_text_rights(TextRights::Withheld);
        take_text(&mut sent);
        assert!(same_content(&sent, &stored));
    }
}
