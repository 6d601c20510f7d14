//! A store of release 0.1.0, which allowed two live participants of one name key.

use prost::Message;
use readout::{
    pb::{ErrorReason, ListMeetingsRequest, ListParticipantsRequest, Participant, change::Kind},
    store::schema::migrate::migrate,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    canonical::upgrade::former_store,
    support::{Refused, Service, make::settled_person, reason_of, stored_records::scalar},
};

/// Adds participants with these names and regions, as release 0.1.0 stored those of CreateParticipant. Returns their
/// resource names.
async fn add_as_before(database: &PgConnectOptions, people: &[(&str, &str)]) -> Vec<String> {
    let mut connection = PgConnection::connect_with(database).await.unwrap();
    let mut names = Vec::new();
    for (name, region) in people {
        let id = Uuid::now_v7();
        let record = Participant {
            name: format!("participants/{id}"),
            etag: "0123456789abcdef".into(),
            revision: 1,
            ..settled_person(name, region)
        };
        sqlx::query(
            "insert into participant (id, revision, contract, doc, kind, region_code, create_time)
             values ($1, 1, 4, $2, 1, nullif($3, ''), now())",
        )
        .bind(id)
        .bind(record.encode_to_vec())
        .bind(region)
        .execute(&mut connection)
        .await
        .unwrap();
        let key = name.to_lowercase();
        let statement = "insert into participant_key values ($1, 1) on conflict do nothing";
        sqlx::query(statement).bind(&key).execute(&mut connection).await.unwrap();
        let statement = "insert into participant_name values ($1, $2)";
        sqlx::query(statement).bind(&key).bind(id).execute(&mut connection).await.unwrap();
        names.push(record.name);
    }
    connection.close().await.unwrap();
    names
}

#[tokio::test]
async fn participants_of_one_key_in_a_former_store_are_settled_as_one() {
    let database = former_store().await;
    let doubled = "select count(*) from (select key from participant_name group by key having count(*) > 1) as doubled";
    // The real store has none.
    assert_eq!(scalar::<i64>(&database, doubled).await, 0);
    // A namesake of another region stays another person.
    let people = [("Sergei Lavrov", "RU"), ("Sergei Lavrov", "RU"), ("sergei LAVROV", "RU"), ("Sergei Lavrov", "CN")];
    let names = add_as_before(&database, &people).await;
    migrate(&database).await.unwrap();
    let service = Service::start_on(database).await;
    let [first, second, third, other] = &names[..] else { panic!("four participants") };
    service.await_person(second, first).await;
    service.await_person(third, first).await;
    service.await_rest().await;
    for name in [first, other] {
        assert_eq!(service.participant(name).await.merged_into, "", "{name}");
    }
    let keys = "select count(*) from participant_name where key = 'sergeilavrov'";
    assert_eq!(service.count(keys).await, 4);
    let keys = "select count(*) from participant_key where key = 'sergeilavrov'";
    assert_eq!(service.count(keys).await, 1);
    let similar = "select count(distinct participant) from participant_similar where is_pair";
    assert_eq!(service.count(similar).await, 4 + service.count("select count(*) from participant").await - 4);
    assert_eq!(service.participants_where("name = \"Sergei Lavrov\"").await.len(), 2);
    let settled = service.all_changes().await.into_iter().filter(|change| change.kind() == Kind::Settled);
    let settled: Vec<String> = settled.map(|change| change.name).filter(|name| names.contains(name)).collect();
    assert_eq!(settled.len(), 2, "{settled:?}");
    // A story takes the oldest of them, and its meeting names the person.
    let told = service.talks_between("urn:new", &[settled_person("Sergei Lavrov", "RU")]).await;
    assert_eq!(told.participants[0].name, *first);
}

/// The token of a page of a list after this key, as an instance makes it.
async fn page_token(database: &PgConnectOptions, list: &str, query: &[u8], after: &[u8]) -> String {
    let key: Vec<u8> = scalar(database, "select token_key from feed").await;
    let epoch: String = scalar(database, "select epoch from feed").await;
    let mut request_hash = [0; 16];
    let mut hasher = blake3::Hasher::new();
    hasher.update(list.as_bytes()).update(query).finalize_xof().fill(&mut request_hash);
    let mut hasher = blake3::Hasher::new_keyed(&key.try_into().unwrap());
    hasher.update(&request_hash).update(&[u8::try_from(after.len()).unwrap()]).update(after);
    hasher.update(&1_i64.to_be_bytes()).update(epoch.as_bytes());
    let after: String = after.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{after}-{epoch}.1", hasher.finalize().to_hex())
}

#[tokio::test]
async fn page_tokens_of_the_former_release_are_refused() {
    let database = former_store().await;
    migrate(&database).await.unwrap();
    let after = [0; 40];
    let service = Service::start_on(database.clone()).await;
    // A token that this release makes for the same page shows that the tokens differ in the list only.
    for (list, is_valid) in [("participants of settled persons", true), ("participants", false)] {
        let page_token = page_token(&database, list, &[], &after).await;
        let request = ListParticipantsRequest { page_token, ..Default::default() };
        let page = service.participants.clone().list_participants(request).await;
        assert_eq!(page.is_ok(), is_valid, "{list}: {page:?}");
        if let Err(status) = page {
            assert_eq!(Refused::from(status), Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]));
        }
    }
    for (list, is_valid) in [("meetings of settled persons", true), ("meetings", false)] {
        let page_token = page_token(&database, list, &[], &after).await;
        let request = ListMeetingsRequest { page_token, ..Default::default() };
        let page = service.meetings.clone().list_meetings(request).await;
        assert_eq!(page.is_ok(), is_valid, "{list}: {page:?}");
        if let Err(status) = page {
            assert_eq!(reason_of(&status), ErrorReason::InvalidPageToken);
        }
    }
}
