//! Copies: articles that print one text. They count as one source, which is the first of them.

use std::collections::HashMap;

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    article::TextHash,
    resource::{Collection, Deletable},
    text::names,
    time::dates,
};
use crate::pb::{self, Article};

/// A text with fewer code points, normalised, is no copy of another: short notices repeat by themselves.
pub const SHORTEST_COPY: usize = 400;

/// Copies of one text are published at most so many days apart.
pub const MOST_DAYS_APART: i64 = 7;

/// What a text is compared by: SHA-256 of it as `names::key` normalises it. None if it is too short to tell.
pub fn text_key(text: &str) -> Option<TextHash> {
    let mut hasher = Sha256::new();
    let mut length = 0;
    // Word by word, since that of an ASCII word costs next to nothing. A space stays one, whatever stands around it.
    for word in text.split_whitespace().map(names::key).filter(|word| !word.is_empty()) {
        if length > 0 {
            hasher.update(b" ");
            length += 1;
        }
        length += word.chars().count();
        hasher.update(word.as_bytes());
    }
    (length >= SHORTEST_COPY).then(|| hasher.finalize().into())
}

/// The day of a date that tells one. A year or a month alone cannot be compared.
pub fn full_day(date: Option<&pb::Date>) -> Option<NaiveDate> {
    let first = dates::first_day(date?)?;
    (dates::last_day(date?) == Some(first)).then_some(first)
}

/// What decides which article of a group is the first: the earliest published (unknown last), then the smallest uri.
/// Of a partial date, its first day. The id decides nothing, uris being unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    is_undated: bool,
    published: Option<NaiveDate>,
    uri: String,
    /// The article.
    pub id: Uuid,
}

impl Precedence {
    /// The place of an article with this id.
    pub fn of(id: Uuid, article: &Article) -> Self {
        let published = article.publish_date.as_ref().and_then(dates::first_day);
        Self { is_undated: published.is_none(), published, uri: article.uri.clone(), id }
    }

    /// The article's uri.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

/// A live article, with what makes it a copy of others.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Its place in its group.
    pub place: Precedence,
    /// The day of its publication, where that is told in full.
    pub day: Option<NaiveDate>,
    /// The key of its text.
    pub text_key: Option<TextHash>,
    /// The article that it says it is a copy of.
    pub source: Option<Uuid>,
}

impl Copy {
    /// An article with the key of its text.
    pub fn of(id: Uuid, article: &Article, text_key: Option<TextHash>) -> Self {
        Self {
            place: Precedence::of(id, article),
            day: full_day(article.publish_date.as_ref()),
            text_key,
            source: Collection::Articles.id(&article.syndicated_from),
        }
    }

    /// Whether the two are copies by themselves, without others between them.
    pub fn is_next_to(&self, other: &Self) -> bool {
        let names = |one: &Self, other: &Self| one.source == Some(other.place.id);
        let has_same_text = self.text_key.is_some() && self.text_key == other.text_key;
        let apart = self.day.zip(other.day).map(|(one, other)| (one - other).num_days().abs());
        names(self, other) || names(other, self) || (has_same_text && apart.is_some_and(|days| days <= MOST_DAYS_APART))
    }

    /// Whether a new article can be a copy of others.
    pub fn has_neighbours(&self) -> bool {
        self.source.is_some() || (self.text_key.is_some() && self.day.is_some())
    }
}

/// The first article of the group of copies of each of these, which are all live. Copies are those that one says it was
/// syndicated from another, and those with equal keys of their texts that were published within seven days, and in turn
/// the copies of copies.
pub fn origins(articles: &[Copy]) -> HashMap<Uuid, Uuid> {
    let mut groups = Groups::of(articles.len());
    let at: HashMap<Uuid, usize> = articles.iter().enumerate().map(|(at, one)| (one.place.id, at)).collect();
    for (one, copy) in articles.iter().enumerate() {
        if let Some(&source) = copy.source.and_then(|source| at.get(&source)) {
            groups.unite(one, source);
        }
    }
    let dated = articles.iter().enumerate();
    let mut dated: Vec<_> = dated.filter_map(|(at, one)| Some((one.text_key?, one.day?, at))).collect();
    dated.sort_unstable();
    // Who is within seven days of one further away is so of those between.
    for pair in dated.windows(2) {
        let ((one_key, one_day, one), (next_key, next_day, next)) = (pair[0], pair[1]);
        if one_key == next_key && (next_day - one_day).num_days() <= MOST_DAYS_APART {
            groups.unite(one, next);
        }
    }
    let mut firsts: HashMap<usize, &Precedence> = HashMap::new();
    for (at, copy) in articles.iter().enumerate() {
        let first = firsts.entry(groups.root(at)).or_insert(&copy.place);
        *first = (*first).min(&copy.place);
    }
    articles.iter().enumerate().map(|(at, one)| (one.place.id, firsts[&groups.root(at)].id)).collect()
}

/// Disjoint sets of numbers.
struct Groups(Vec<usize>);

impl Groups {
    fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut one: usize) -> usize {
        while self.0[one] != one {
            self.0[one] = self.0[self.0[one]];
            one = self.0[one];
        }
        one
    }

    fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one] = other;
    }
}

/// Whether the next revision of an article may belong to another group of copies than the one before, or be another in
/// its order.
pub fn regroups(former: &Article, next: &Article) -> bool {
    let told = |article: &Article| {
        let text = article.text_sha256.clone();
        (text, article.publish_date, article.uri.clone(), article.syndicated_from.clone(), article.is_deleted())
    };
    told(former) != told(next)
}

/// Whether meetings may settle otherwise on the next revision of an article than on the one before.
pub fn resettles(former: &Article, next: &Article) -> bool {
    let told = |article: &Article| (article.origin.clone(), article.publish_date, article.uri.clone());
    told(former) != told(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::article::text_hash;

    fn id(number: u8) -> Uuid {
        Uuid::from_u128(number.into())
    }

    /// An article of a day in 2020, as in "a1" for the text and the uri.
    fn copy(number: u8, day: Option<u32>, text: Option<u8>, source: Option<u8>) -> Copy {
        let publish_date = day.map(|day| pb::Date { year: 2020, month: 8, day: day as i32 });
        let article = Article { uri: format!("urn:{number}"), publish_date, ..Default::default() };
        let text_key = text.map(|text| text_hash(&text.to_string()));
        Copy { source: source.map(id), ..Copy::of(id(number), &article, text_key) }
    }

    fn origin_of(number: u8, articles: &[Copy]) -> Uuid {
        origins(articles)[&id(number)]
    }

    #[test]
    fn a_text_of_400_characters_has_a_key_and_one_of_399_has_none() {
        let words = "Ministers  met\n".repeat(30);
        let key = names::key(&words);
        let long: String = key.chars().take(400).collect();
        assert_eq!(text_key(&long), Some(text_hash(&long)));
        assert_eq!(text_key(&long[..399]), None);
        assert_eq!(text_key(&format!("{}{}", &long[..399], " ".repeat(40))), None);
    }

    #[test]
    fn white_space_case_and_forms_of_characters_do_not_matter() {
        let text = "Vəliyev met the »Minister« in the ﬁrst hall. ".repeat(12);
        let other = text.to_uppercase().replace(' ', " \n\u{a0}").replace('F', "f");
        assert!(text_key(&text).is_some());
        assert_eq!(text_key(&text), text_key(&other));
        assert_ne!(text_key(&text), text_key(&text.replace("hall", "hell")));
    }

    #[test]
    fn within_seven_days_equal_texts_are_copies_and_in_turn_theirs() {
        let chain =
            [copy(1, Some(1), Some(7), None), copy(2, Some(8), Some(7), None), copy(3, Some(15), Some(7), None)];
        assert_eq!(origin_of(3, &chain), id(1));
        let apart = [copy(1, Some(1), Some(7), None), copy(2, Some(9), Some(7), None)];
        assert_eq!(origin_of(2, &apart), id(2));
        let other = [copy(1, Some(1), Some(7), None), copy(2, Some(1), Some(8), None)];
        assert_eq!(origin_of(2, &other), id(2));
    }

    #[test]
    fn a_date_that_is_not_known_in_full_is_not_compared() {
        let undated = [copy(1, None, Some(7), None), copy(2, Some(1), Some(7), None)];
        assert_eq!(origin_of(1, &undated), id(1));
        assert_eq!(full_day(Some(&pb::Date { year: 2020, month: 8, day: 0 })), None);
        assert!(full_day(Some(&pb::Date { year: 2020, month: 8, day: 1 })).is_some());
    }

    #[test]
    fn the_first_is_the_earliest_then_that_of_the_smallest_uri() {
        let dated = [copy(1, None, None, Some(2)), copy(2, Some(9), None, Some(3)), copy(3, Some(2), None, None)];
        assert_eq!(origin_of(1, &dated), id(3));
        let undated = [copy(2, None, None, None), copy(1, None, None, Some(2))];
        assert_eq!(origin_of(2, &undated), id(1));
    }

    fn some_articles() -> impl Strategy<Value = Vec<Copy>> {
        let one =
            (proptest::option::of(1u32..29), proptest::option::of(0u8..3), proptest::option::weighted(0.3, 0u8..12));
        proptest::collection::vec(one, 0..12).prop_map(|all| {
            let with_number = (0..).zip(all);
            with_number.map(|(number, (day, text, source))| copy(number, day, text, source)).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn groups_do_not_depend_on_the_order(articles in some_articles(), seed in any::<u64>()) {
            let mut other = articles.clone();
            other.sort_by_key(|one| text_hash(&format!("{seed}{}", one.place.id)));
            prop_assert_eq!(origins(&articles), origins(&other));
        }

        #[test]
        fn copies_have_one_origin_which_is_its_own(articles in some_articles()) {
            let origins = origins(&articles);
            for one in &articles {
                prop_assert_eq!(origins[&origins[&one.place.id]], origins[&one.place.id]);
                for other in &articles {
                    if one.is_next_to(other) {
                        prop_assert_eq!(origins[&one.place.id], origins[&other.place.id]);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_key_is_that_of_the_normalised_text(text in "\\PC{0,40}[\\s\\u{301}\\u{b4}]{0,3}\\PC{380,460}") {
            let key = names::key(&text);
            let is_long = key.chars().count() >= SHORTEST_COPY;
            prop_assert_eq!(text_key(&text), is_long.then(|| text_hash(&key)));
        }
    }
}
