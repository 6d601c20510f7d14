//! Copies: articles that print the same text, or nearly the same. A group of copies counts as one source; its first
//! article is the origin.

pub mod near;

use std::collections::HashMap;

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::near::{NearCopy, has_min_words};
use super::{
    article::TextHash,
    resource::{Collection, Deletable},
    text::names,
    time::dates,
};
use crate::pb::{self, Article};

/// Code points of the shortest normalised text that can be a copy, unless it has [`near::MIN_WORDS`].
/// Independent short notices are often equal.
pub const MIN_COPY: usize = 400;

/// Limit of days between the publication of two articles with equal texts that count as copies.
pub const MAX_DAYS_APART: i64 = 7;

/// The key of a text for copies: SHA-256 of its `names::key`. `None` if the normalised text is shorter than
/// [`MIN_COPY`] and has too few words for a near copy.
pub fn text_key(text: &str) -> Option<TextHash> {
    let mut hasher = Sha256::new();
    let mut length = 0;
    // Word by word, because the key of an ASCII word is cheap. Words normalise independently of the spaces between
    // them.
    for word in text.split_whitespace().map(names::key).filter(|word| !word.is_empty()) {
        if length > 0 {
            hasher.update(b" ");
            length += 1;
        }
        length += word.chars().count();
        hasher.update(word.as_bytes());
    }
    (length >= MIN_COPY || has_min_words(text)).then(|| hasher.finalize().into())
}

/// The day of a full date. `None` for a year or a month alone, which cannot be compared.
pub fn full_day(date: Option<&pb::Date>) -> Option<NaiveDate> {
    let first = dates::first_day(date?)?;
    (dates::last_day(date?) == Some(first)).then_some(first)
}

/// The order of articles in a group of copies, of which the smallest is the origin: by date of publication (unknown
/// last), then by uri. A partial date counts as its first day. The id never decides, because uris are unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    is_undated: bool,
    published: Option<NaiveDate>,
    uri: String,
    /// The article.
    pub id: Uuid,
}

impl Precedence {
    /// The order key of an article with this id.
    pub fn of(id: Uuid, article: &Article) -> Self {
        let published = article.publish_date.as_ref().and_then(dates::first_day);
        Self { is_undated: published.is_none(), published, uri: article.uri.clone(), id }
    }

    /// The article's uri.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

/// A live article, reduced to the fields that decide about copies.
#[derive(Debug, Clone)]
pub struct CopyCandidate {
    /// Its place in the order of its group.
    pub place: Precedence,
    /// The day of its publication, if fully known.
    pub day: Option<NaiveDate>,
    /// The key of its text.
    pub text_key: Option<TextHash>,
    /// The article of `syndicated_from`.
    pub source: Option<Uuid>,
}

impl CopyCandidate {
    /// An article with the key of its text.
    pub fn of(id: Uuid, article: &Article, text_key: Option<TextHash>) -> Self {
        Self {
            place: Precedence::of(id, article),
            day: full_day(article.publish_date.as_ref()),
            text_key,
            source: Collection::Articles.id(&article.syndicated_from),
        }
    }

    /// True if the two are copies directly, without other articles between them, by their texts' keys or syndication.
    pub fn is_direct_copy_of(&self, other: &Self) -> bool {
        let names = |copy: &Self, source: &Self| copy.source == Some(source.place.id);
        let has_same_text = self.text_key.is_some() && self.text_key == other.text_key;
        let apart = self.day.zip(other.day).map(|(day, other_day)| (day - other_day).num_days().abs());
        names(self, other) || names(other, self) || (has_same_text && apart.is_some_and(|days| days <= MAX_DAYS_APART))
    }

    /// The earliest of these origins and the article itself.
    pub fn first_of(&self, origins: impl IntoIterator<Item = FirstCopy>) -> FirstCopy {
        let own = FirstCopy { place: self.place.clone(), overlap: None };
        origins.into_iter().fold(own, |first, other| if other.place < first.place { other } else { first })
    }

    /// False if an article cannot be a copy of an existing one. For a new article, to which no other refers.
    pub fn may_be_copy(&self) -> bool {
        self.source.is_some() || (self.text_key.is_some() && self.day.is_some())
    }
}

/// The first article of a group of copies, as an article of the group sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstCopy {
    /// Its place in the group's order.
    pub place: Precedence,
    /// The share of the shorter text that it and the article have in common; `None` if the two are copies only by
    /// syndication or through other articles, or the same.
    pub overlap: Option<f32>,
}

impl FirstCopy {
    /// The first article of the group of `copy`, as an article that joins the group through it sees it.
    pub fn seen_by(&self, article: &CopyCandidate, copy: &CopyCandidate) -> Self {
        let has_same_text = article.text_key.is_some() && article.text_key == copy.text_key;
        let overlap = if self.place.id == copy.place.id { Some(1.0) } else { self.overlap };
        Self { place: self.place.clone(), overlap: overlap.filter(|_| has_same_text) }
    }

    /// Sets the output-only fields of an article that name its origin.
    pub fn set(&self, article: &mut Article) {
        article.origin = Collection::Articles.name(self.place.id);
        article.origin_overlap = self.overlap.unwrap_or_default();
    }
}

/// Maps each article to the origin of its group of copies. `articles` must be live.
///
/// Two articles are copies if one is syndicated from the other, or if their texts have equal keys or are `near` copies and
/// they were published within seven days. The relation is transitive: copies of copies belong to the group.
pub fn origins(articles: &[CopyCandidate], near: &[NearCopy]) -> HashMap<Uuid, Uuid> {
    let mut groups = Groups::of(articles.len());
    let indexes: HashMap<Uuid, usize> =
        articles.iter().enumerate().map(|(index, article)| (article.place.id, index)).collect();
    for (index, article) in articles.iter().enumerate() {
        if let Some(&source) = article.source.and_then(|source| indexes.get(&source)) {
            groups.unite(index, source);
        }
    }
    let mut dated: HashMap<TextHash, Vec<(NaiveDate, usize)>> = HashMap::new();
    for (index, article) in articles.iter().enumerate() {
        if let Some((key, day)) = article.text_key.zip(article.day) {
            dated.entry(key).or_default().push((day, index));
        }
    }
    for printed in dated.values_mut() {
        printed.sort_unstable();
        groups.unite_neighbours(printed);
    }
    for copy in near {
        let of = |text: &TextHash| dated.get(text).into_iter().flatten().copied();
        let mut printed: Vec<_> = copy.texts.iter().flat_map(of).collect();
        printed.sort_unstable();
        groups.unite_neighbours(&printed);
    }
    let mut firsts: HashMap<usize, &Precedence> = HashMap::new();
    for (index, article) in articles.iter().enumerate() {
        let first = firsts.entry(groups.root(index)).or_insert(&article.place);
        *first = (*first).min(&article.place);
    }
    let mut origin = |index: usize| firsts[&groups.root(index)].id;
    articles.iter().enumerate().map(|(index, article)| (article.place.id, origin(index))).collect()
}

/// Disjoint sets of indexes (union–find with path halving): each index points to its parent.
struct Groups(Vec<usize>);

impl Groups {
    fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn unite(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        self.0[left] = right;
    }

    /// Unites the articles of a list, in the order of days, that were published within seven days. Neighbours suffice:
    /// articles within seven days are also within seven days of all between them.
    fn unite_neighbours(&mut self, printed: &[(NaiveDate, usize)]) {
        for pair in printed.windows(2) {
            let ((day, index), (next_day, next)) = (pair[0], pair[1]);
            if (next_day - day).num_days() <= MAX_DAYS_APART {
                self.unite(index, next);
            }
        }
    }
}

/// The share of the shorter text that an article has in common with another by their texts' keys: 1 for equal texts, that
/// of `near` copies, `None` for others.
pub fn overlap(text: Option<TextHash>, other: Option<TextHash>, near: &[NearCopy]) -> Option<f32> {
    let (text, other) = text.zip(other)?;
    let of = |copy: &&NearCopy| copy.texts == [text, other] || copy.texts == [other, text];
    if text == other { Some(1.0) } else { near.iter().find(of).map(|copy| copy.overlap) }
}

/// True if the next revision of an article may belong to another group of copies than `former`, or have another place
/// in the order of its group.
pub fn affects_copy_group(former: &Article, next: &Article) -> bool {
    let relevant = |article: &Article| {
        let text = article.text_sha256.clone();
        (text, article.publish_date, article.uri.clone(), article.syndicated_from.clone(), article.is_deleted())
    };
    relevant(former) != relevant(next)
}

/// True if meetings may settle differently on the next revision of an article than on `former`.
pub fn affects_settling(former: &Article, next: &Article) -> bool {
    let relevant = |article: &Article| (article.origin.clone(), article.publish_date, article.uri.clone());
    relevant(former) != relevant(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::article::text_hash;

    fn id(number: u8) -> Uuid {
        Uuid::from_u128(number.into())
    }

    /// An article of a day in August 2020. Equal numbers of `text` give equal keys.
    fn copy(number: u8, day: Option<u32>, text: Option<u8>, source: Option<u8>) -> CopyCandidate {
        let publish_date = day.map(|day| pb::Date { year: 2020, month: 8, day: day as i32 });
        let article = Article { uri: format!("urn:{number}"), publish_date, ..Default::default() };
        let text_key = text.map(|text| text_hash(&text.to_string()));
        CopyCandidate { source: source.map(id), ..CopyCandidate::of(id(number), &article, text_key) }
    }

    fn origin_of(number: u8, articles: &[CopyCandidate]) -> Uuid {
        origins(articles, &[])[&id(number)]
    }

    /// The texts of these numbers are near copies.
    fn near(text: u8, other: u8) -> NearCopy {
        NearCopy { texts: [text, other].map(|text| text_hash(&text.to_string())), overlap: 0.7 }
    }

    #[test]
    fn origins_group_near_copies_within_seven_days() {
        let articles =
            [copy(1, Some(1), Some(7), None), copy(2, Some(8), Some(8), None), copy(3, Some(16), Some(7), None)];
        assert_eq!(origins(&articles, &[near(8, 7)])[&id(2)], id(1));
        assert_eq!(origins(&articles, &[near(8, 7)])[&id(3)], id(3), "eight days");
        assert_eq!(origins(&articles, &[near(7, 9)])[&id(2)], id(2));
    }

    #[test]
    fn text_key_requires_400_characters_or_40_words() {
        assert!(text_key(&"a ".repeat(40)).is_some());
        assert_eq!(text_key(&"a ".repeat(39)), None);
        let words = "Ministersmet\n".repeat(35);
        let key = names::key(&words);
        let long: String = key.chars().take(400).collect();
        assert_eq!(text_key(&long), Some(text_hash(&long)));
        assert_eq!(text_key(&long[..399]), None);
        assert_eq!(text_key(&format!("{}{}", &long[..399], " ".repeat(40))), None);
    }

    #[test]
    fn text_key_ignores_white_space_case_and_compatibility_forms() {
        let text = "Vəliyev met the »Minister« in the ﬁrst hall. ".repeat(12);
        let other = text.to_uppercase().replace(' ', " \n\u{a0}").replace('F', "f");
        assert!(text_key(&text).is_some());
        assert_eq!(text_key(&text), text_key(&other));
        assert_ne!(text_key(&text), text_key(&text.replace("hall", "hell")));
    }

    #[test]
    fn origins_group_equal_texts_within_seven_days_transitively() {
        let chain =
            [copy(1, Some(1), Some(7), None), copy(2, Some(8), Some(7), None), copy(3, Some(15), Some(7), None)];
        assert_eq!(origin_of(3, &chain), id(1));
        let apart = [copy(1, Some(1), Some(7), None), copy(2, Some(9), Some(7), None)];
        assert_eq!(origin_of(2, &apart), id(2));
        let other = [copy(1, Some(1), Some(7), None), copy(2, Some(1), Some(8), None)];
        assert_eq!(origin_of(2, &other), id(2));
    }

    #[test]
    fn origins_ignore_partial_and_unknown_dates() {
        let undated = [copy(1, None, Some(7), None), copy(2, Some(1), Some(7), None)];
        assert_eq!(origin_of(1, &undated), id(1));
        assert_eq!(full_day(Some(&pb::Date { year: 2020, month: 8, day: 0 })), None);
        assert!(full_day(Some(&pb::Date { year: 2020, month: 8, day: 1 })).is_some());
    }

    #[test]
    fn origin_is_the_earliest_article_then_the_one_with_the_smallest_uri() {
        let dated = [copy(1, None, None, Some(2)), copy(2, Some(9), None, Some(3)), copy(3, Some(2), None, None)];
        assert_eq!(origin_of(1, &dated), id(3));
        let undated = [copy(2, None, None, None), copy(1, None, None, Some(2))];
        assert_eq!(origin_of(2, &undated), id(1));
    }

    fn some_articles() -> impl Strategy<Value = Vec<CopyCandidate>> {
        let article =
            (proptest::option::of(1u32..29), proptest::option::of(0u8..3), proptest::option::weighted(0.3, 0u8..12));
        proptest::collection::vec(article, 0..12).prop_map(|all| {
            let with_number = (0..).zip(all);
            with_number.map(|(number, (day, text, source))| copy(number, day, text, source)).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn origins_do_not_depend_on_the_order(articles in some_articles(), seed in any::<u64>()) {
            let near = [near(0, 1)];
            let mut other = articles.clone();
            other.sort_by_key(|article| text_hash(&format!("{seed}{}", article.place.id)));
            prop_assert_eq!(origins(&articles, &near), origins(&other, &near));
        }

        #[test]
        fn copies_share_an_origin_that_is_its_own_origin(articles in some_articles()) {
            let near = [near(0, 1)];
            let origins = origins(&articles, &near);
            for article in &articles {
                prop_assert_eq!(origins[&origins[&article.place.id]], origins[&article.place.id]);
                for other in &articles {
                    let has_near_text = overlap(article.text_key, other.text_key, &near).is_some();
                    let days = article.day.zip(other.day).map(|(day, other)| (day - other).num_days().abs());
                    let is_near = has_near_text && days.is_some_and(|days| days <= MAX_DAYS_APART);
                    if is_near || article.is_direct_copy_of(other) {
                        prop_assert_eq!(origins[&article.place.id], origins[&other.place.id]);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn text_key_hashes_the_normalised_text(text in "\\PC{0,40}[\\s\\u{301}\\u{b4}]{0,3}\\PC{380,460}") {
            let key = names::key(&text);
            let is_long = key.chars().count() >= MIN_COPY;
            prop_assert_eq!(text_key(&text), (is_long || has_min_words(&text)).then(|| text_hash(&key)));
        }
    }
}
