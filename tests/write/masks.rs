//! Update masks as tools send them: in JSON names, and as ProtoJSON rewrites them.

use readout::pb::{Account, Article, Meeting, Participant, Publisher, account::Kind};
use tonic::Status;

use crate::support::{
    Refused, Service,
    calls::mask,
    make::{labels, person, talks},
};

#[tokio::test]
async fn update_masks_accept_json_names() {
    let service = Service::start().await;
    let article = service.create_article(Article { uri: "urn:a".into(), ..Default::default() }).await;
    let sent = Article {
        publisher: Some(Publisher { display_name: "Azernews".into(), region_code: "AZ".into() }),
        language_code: "en".into(),
        ..article.clone()
    };
    let updated = service.update_article(sent, &["publisher.displayName", "languageCode"]).await.unwrap();
    let publisher = updated.publisher.unwrap();
    assert_eq!((publisher.display_name.as_str(), publisher.region_code.as_str()), ("Azernews", ""));
    assert_eq!(updated.language_code, "en");

    let participant = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let sent = Participant { display_name: "Karim Valiyev".into(), region_code: "RU".into(), ..participant };
    let updated = service.update_participant(sent, &["displayName"]).await.unwrap();
    assert_eq!((updated.display_name.as_str(), updated.region_code.as_str()), ("Karim Valiyev", "AZ"));

    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let place = Some(readout::pb::Place { region_code: "AZ".into(), ..Default::default() });
    let account = Account { place, kind: Kind::Visit.into(), ..Default::default() };
    let ruled = service.rule(&meeting.name, account, &["account.place.regionCode", "account.kind"]).await.unwrap();
    assert_eq!(ruled.account.unwrap().place.unwrap().region_code, "AZ");
    // The mask is stored and returned in proto names.
    let reports = service.reports_of(&meeting.name).await;
    let ruling = reports.iter().find_map(|report| report.ruling.as_ref()).expect("a ruling");
    assert_eq!(ruling.mask, mask(&["account.place.region_code", "account.kind"]));
    service.stop().await;
}

#[tokio::test]
async fn update_mask_with_an_unknown_path_names_the_nearest_field() {
    let service = Service::start().await;
    let participant = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    for (path, nearest) in [
        ("displayNam", "; did you mean \"display_name\"?"),
        ("display-name", "; did you mean \"display_name\"?"),
        ("regioncode", "; did you mean \"region_code\"?"),
        ("label.desk", "; did you mean \"labels\"?"),
        ("offices.titel", "goes into a list, which can only be replaced as a whole: \"offices.titel\""),
        ("president", "is not a field of Participant: \"president\""),
    ] {
        let status = service.update_participant(participant.clone(), &[path]).await.unwrap_err();
        assert!(status.message().ends_with(nearest), "{status}");
        assert_eq!(Refused::from(status), Refused::invalid(["update_mask.paths[0]"]), "{path}");
    }
    let article = service.create_article(Article { uri: "urn:a".into(), ..Default::default() }).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let status = service.rule(&meeting.name, Account::default(), &["account.knd"]).await.unwrap_err();
    assert!(status.message().ends_with("; did you mean \"account.kind\"?"), "{status}");
    let status = service.rule(&meeting.name, Account::default(), &["account.statements"]).await.unwrap_err();
    assert!(status.message().contains("must be one of account.kind, "), "{status}");
    service.stop().await;
}

/// Updates the labels of an article, a participant and a meeting with the mask `labels.my_key`, and returns the labels
/// after it. ProtoJSON rewrites the mask `labels.myKey` to this one.
async fn updated(
    service: &Service,
    before: &[(&str, &str)],
    sent: &[(&str, &str)],
) -> Vec<Result<std::collections::BTreeMap<String, String>, Status>> {
    const PATHS: &[&str] = &["labels.my_key"];
    let participant = Participant { labels: labels(before), ..person("Kerim Veliyev", "AZ") };
    let participant = service.create_participant(participant).await;
    let uri = format!("urn:{}", participant.name);
    let article = service.create_article(Article { uri, labels: labels(before), ..Default::default() }).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let with = Meeting { labels: labels(before), ..meeting };
    let meeting = service.update_meeting(with, &["labels"]).await.unwrap();
    let article = Article { labels: labels(sent), ..article };
    let participant = Participant { labels: labels(sent), ..participant };
    let meeting = Meeting { labels: labels(sent), account: None, ..meeting };
    vec![
        service.update_article(article, PATHS).await.map(|article| article.labels),
        service.update_participant(participant, PATHS).await.map(|participant| participant.labels),
        service.update_meeting(meeting, PATHS).await.map(|meeting| meeting.labels),
    ]
}

#[tokio::test]
async fn update_mask_of_a_label_rewritten_by_protojson_is_resolved_or_refused() {
    let service = Service::start().await;
    for (before, sent, after) in [
        // The mask can only mean "myKey".
        (&[("myKey", "3")][..], &[("myKey", "9")][..], Some(&[("myKey", "9")][..])),
        (&[("other", "1")], &[("myKey", "9")], Some(&[("myKey", "9"), ("other", "1")])),
        // The mask can only mean "my_key".
        (&[("my_key", "4"), ("other", "1")], &[("my_key", "5")], Some(&[("my_key", "5"), ("other", "1")])),
        (&[("my_key", "4"), ("other", "1")], &[], Some(&[("other", "1")])),
        (&[("myKey", "3"), ("my_key", "4")], &[("my_key", "5")], Some(&[("myKey", "3"), ("my_key", "5")])),
        (&[("myKey", "3"), ("my_key", "4")], &[("myKey", "9")], Some(&[("myKey", "9"), ("my_key", "4")])),
        // The mask is ambiguous.
        (&[("myKey", "9"), ("my_key", "4")], &[("myKey", "9")], None),
        (&[("myKey", "3"), ("my_key", "4")], &[("myKey", "9"), ("my_key", "4")], None),
        (&[("myKey", "3"), ("my_key", "4")], &[], None),
        (&[("myKey", "3")], &[], None),
    ] {
        for updated in updated(&service, before, sent).await {
            match (updated, after) {
                (Ok(updated), Some(after)) => assert_eq!(updated, labels(after), "{before:?} {sent:?}"),
                (Err(status), None) => {
                    assert!(status.message().ends_with("; name labels as a whole"), "{status}");
                    assert_eq!(Refused::from(status), Refused::invalid(["update_mask.paths[0]"]));
                }
                (updated, _) => panic!("{before:?} {sent:?}: {updated:?}"),
            }
        }
    }
    service.stop().await;
}
