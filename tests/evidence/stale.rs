//! Evidence of articles whose text changes: a quote that the new text lacks is marked as stale.

use readout::pb::{
    Account, AddReportRequest, Article, Change, ErrorReason, GetReportRequest, ListChangesRequest, Origin, Report,
    article::TextRights, change::Kind, list_changes_request::Start,
};
use uuid::Uuid;

use super::{evidence, quoting_story, report, with_text};
use crate::support::{
    Refused, Service,
    follow::{matching, now},
    make::{ingest, talks},
};

impl Service {
    async fn update_text(&self, name: &str, text: &str) -> Article {
        let sent = Article { name: name.into(), text: text.into(), ..Default::default() };
        self.update_article(sent, &["text"]).await.unwrap()
    }

    async fn reread(&self, report: &Report) -> Report {
        let request = GetReportRequest { name: report.name.clone(), ..Default::default() };
        self.meetings.clone().get_report(request).await.expect("the report exists").into_inner()
    }
}

fn stale(report: &Report) -> Vec<bool> {
    report.evidence.iter().map(|evidence| evidence.stale).collect()
}

#[tokio::test]
async fn evidence_is_stale_while_the_article_text_lacks_its_quote() {
    let (service, name) = with_text("They met on Monday in Baku.").await;
    let quotes = || vec![evidence("date.literal", "on Monday", 0, 0), evidence("title", "Baku", 0, 0)];
    let first = report(&service, &name, quotes()).await.unwrap();
    let second = report(&service, &name, vec![evidence("title", "Baku", 0, 0)]).await.unwrap();
    let mut watch = service.watch(matching(now(), "")).await;
    watch.caught_up().await;

    let article = service.update_text(&name, "In Baku they met on Tuesday.").await;
    let after = service.reread(&first).await;
    assert_eq!((after.revision, stale(&after)), (2, vec![true, false]));
    // Nothing else changes: the offsets still refer to the cited text.
    let mut expected =
        Report { revision: 2, etag: after.etag.clone(), update_time: after.update_time, ..first.clone() };
    expected.evidence[0].stale = true;
    expected.evidence_coverage = after.evidence_coverage;
    assert!(after.evidence_coverage < first.evidence_coverage, "{after:?}");
    assert_eq!(after, expected);
    assert_eq!((after.article_revision, article.revision), (1, 2));
    assert_eq!(service.reread(&second).await, second);
    let changes = watch.changes(2).await;
    let recorded: Vec<_> = changes.iter().map(|change| (change.name.as_str(), change.kind(), change.last)).collect();
    assert_eq!(recorded, [(name.as_str(), Kind::Updated, false), (first.name.as_str(), Kind::EvidenceStale, true)]);
    assert_eq!((&changes[1].stale_evidence, changes[1].stale_evidence_count), (&vec![expected.evidence[0].clone()], 1));
    assert_eq!((&changes[0].stale_evidence, changes[0].stale_evidence_count), (&Vec::new(), 0));

    // The quote is still refused, and another text without it does not change the report.
    let refused = report(&service, &name, quotes()).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::EvidenceNotFound);
    service.update_text(&name, "In Baku they met on Wednesday.").await;
    assert_eq!(service.reread(&first).await, after);

    // An empty and a withheld text leave nothing to compare with.
    service.update_text(&name, "").await;
    let mut withheld = Article { name: name.clone(), text: "Nobody met.".into(), ..Default::default() };
    withheld.set_text_rights(TextRights::Withheld);
    service.update_article(withheld, &["text", "text_rights"]).await.unwrap();
    assert_eq!(service.reread(&first).await, after);
    assert_eq!(service.reread(&second).await, second);

    let mut back = Article { name: name.clone(), text: "It was on Monday.".into(), ..Default::default() };
    back.set_text_rights(TextRights::FullText);
    service.update_article(back, &["text", "text_rights"]).await.unwrap();
    assert_eq!(stale(&service.reread(&first).await), [false, true]);
    assert_eq!(stale(&service.reread(&second).await), [true]);
}

#[tokio::test]
async fn ingest_story_that_updates_its_article_marks_stale_evidence() {
    let mut service = Service::start().await;
    let first = ingest(quoting_story(TextRights::FullText, "They met in Baku.", evidence("title", "Baku", 0, 0)));
    service.ingest.ingest_story(first).await.unwrap();
    let mut story = quoting_story(TextRights::FullText, "They met in Ganja.", evidence("title", "Ganja", 0, 0));
    story.reports[0].key = "other".into();
    let mut request = ingest(story);
    request.allow_update = true;
    service.ingest.ingest_story(request).await.unwrap();
    let reports = service.contents().await.reports;
    let state = |report: &Report| (report.revision, report.article_revision, stale(report));
    assert_eq!(reports.iter().map(state).collect::<Vec<_>>(), [(2, 1, vec![true]), (1, 2, vec![false])]);
}

#[tokio::test]
async fn evidence_of_a_retracted_report_is_not_marked_stale() {
    let (service, name) = with_text("They met in Baku.").await;
    let stored = report(&service, &name, vec![evidence("title", "Baku", 0, 0)]).await.unwrap();
    let force = readout::pb::DeleteArticleRequest { name: name.clone(), force: true, ..Default::default() };
    service.articles.clone().delete_article(force).await.unwrap();
    service.undelete_article(&name).await.unwrap();
    let retracted = service.reread(&stored).await;
    service.update_text(&name, "They met in Ganja.").await;
    assert_eq!(service.reread(&stored).await, retracted);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_report_is_never_checked_against_a_text_other_than_its_own() {
    let (service, name) = with_text("Round 0.").await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 1..=16 {
        let (before, after) = (format!("Round {}.", round - 1), format!("Round {round}."));
        let title = talks(&format!("talks {round}"));
        let add = |service: &'static str| {
            let report = Report {
                article: name.clone(),
                account: Some(Account { summary: service.into(), ..title.clone() }),
                evidence: vec![evidence("title", &before, 0, 0)],
                ..Default::default()
            };
            let meeting = format!("meetings/{}", Uuid::now_v7());
            AddReportRequest { meeting, report: Some(report), allow_missing: true, ..Default::default() }
        };
        let (mut local, mut remote) = (service.meetings.clone(), other.meetings.clone());
        // The local report goes through the instance that updates the text and may share its transaction.
        let (article, first, second) = tokio::join!(
            service.update_text(&name, &after),
            local.add_report(add("here")),
            remote.add_report(add("there")),
        );
        for added in [first, second] {
            match added {
                Ok(report) => {
                    let report = service.reread(report.get_ref()).await;
                    assert_eq!((report.article_revision, stale(&report)), (article.revision - 1, vec![true]));
                }
                Err(status) => assert_eq!(Refused::from(status).reason, ErrorReason::EvidenceNotFound),
            }
        }
    }
}

#[tokio::test]
async fn stale_evidence_is_a_change_that_shows_the_lost_words_while_their_text_is_shown() {
    let (service, name) = with_text("They met on Monday in Baku.").await;
    let quotes = vec![evidence("date.literal", "on Monday", 0, 0), evidence("title", "Baku", 0, 0)];
    let cited = report(&service, &name, quotes).await.unwrap();
    service.update_text(&name, "They met on Monday.").await;
    service.update_text(&name, "They met.").await;
    service.update_text(&name, "They met in Baku.").await;

    let listed = async |filter: &str| {
        let start = Some(Start::Origin(Origin::Beginning.into()));
        let request = ListChangesRequest { start, filter: filter.into(), page_size: 1_000, ..Default::default() };
        service.changes.clone().list_changes(request).await.unwrap().into_inner().changes
    };
    let words = async || {
        let changes = listed("kind = EVIDENCE_STALE").await;
        assert!(changes.iter().all(|change| change.name == cited.name && change.stale_evidence_count == 1));
        let words = |change: &Change| change.stale_evidence.iter().map(|cited| cited.quote.clone()).collect::<Vec<_>>();
        changes.iter().map(words).collect::<Vec<_>>()
    };
    assert_eq!(words().await, [["Baku"], ["on Monday"]]);
    // Evidence that is found again is an update.
    let kinds: Vec<_> = listed("collection = reports").await.iter().map(Change::kind).collect();
    assert_eq!(kinds, [Kind::Created, Kind::EvidenceStale, Kind::EvidenceStale, Kind::Updated]);

    let article = |rights: TextRights| Article { name: name.clone(), text_rights: rights.into(), ..Default::default() };
    service.update_article(article(TextRights::Withheld), &["text_rights"]).await.unwrap();
    assert_eq!(words().await, [[""], [""]], "hidden");
    service.update_article(article(TextRights::FullText), &["text_rights"]).await.unwrap();
    assert_eq!(words().await, [["Baku"], ["on Monday"]], "shown again");
    service.erase_article_text(&name).await.unwrap();
    let mut other = article(TextRights::FullText);
    other.text = "They met in Baku on Tuesday.".into();
    service.update_article(other, &["text", "text_rights"]).await.unwrap();
    assert_eq!(words().await, [[""], [""]], "erased, though the article has a text again");
    assert_eq!(listed("kind = EVIDENCE_STALE").await.len(), 2, "neither hiding nor erasing makes evidence stale");
}

#[tokio::test]
async fn change_has_at_most_100_lost_quotes_and_counts_all() {
    let text: String = (0..120).map(|number| format!("word{number} ")).collect();
    let (service, name) = with_text(&text).await;
    let quotes = (0..120).map(|number| evidence("title", &format!("word{number} "), 0, 0)).collect();
    report(&service, &name, quotes).await.unwrap();
    let mut watch = service.watch(matching(now(), "kind = EVIDENCE_STALE")).await;
    service.update_text(&name, "Nothing.").await;
    let change = watch.change().await;
    assert_eq!((change.stale_evidence.len(), change.stale_evidence_count), (100, 120));
}
