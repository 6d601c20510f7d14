//! Many participants with one name: a story matches the oldest that agrees, and reads a bounded number of them.

use readout::pb::{Participant, participant::Kind};

use crate::support::{
    Service,
    make::{ingest, person, story, wikidata},
};

const COUNT: usize = 1_000;

#[tokio::test]
async fn story_matches_the_oldest_of_a_thousand_namesakes_that_agrees() {
    let service = Service::start().await;
    let named = |region: &str| person("Kerim Veliyev", region);
    let mut kept = Vec::new();
    for number in 0..COUNT {
        // Many organizations and many people of another region are older than those that agree.
        let sent = match number {
            0..300 => Participant { kind: Kind::Organization.into(), ..named("AZ") },
            300..600 => named("TR"),
            600..900 => Participant { external_ids: wikidata(&format!("Q{number}")), ..named("AZ") },
            _ => named("AZ"),
        };
        let created = service.create_participant(sent).await;
        if [300, 600, 800].contains(&number) {
            kept.push(created.name);
        }
    }
    let [turkish, azerbaijani, eight_hundredth] = &kept[..] else { unreachable!("three are kept") };
    let matched = async |uri: &str, sent: Participant| {
        let sent = story(uri, &[sent]);
        let answer = service.ingest.clone().ingest_story(ingest(sent)).await.unwrap().into_inner();
        answer.participants[0].name.clone()
    };
    assert_eq!(matched("urn:az", named("AZ")).await, *azerbaijani);
    assert_eq!(matched("urn:tr", named("TR")).await, *turkish);
    // An unset region is a value of its own.
    let unknown = matched("urn:any", named("")).await;
    assert!(unknown != *turkish && matched("urn:any:2", named("")).await == unknown);
    let state = Participant { kind: Kind::State.into(), ..named("AZ") };
    let created = matched("urn:state", state.clone()).await;
    assert_eq!(matched("urn:state:2", state).await, created);
    // An id decides, however many others have the name. One that nobody has makes one participant, not one a story.
    let with_id = |id: &str| Participant { external_ids: wikidata(id), ..named("AZ") };
    assert_eq!(matched("urn:id", with_id("Q800")).await, *eight_hundredth);
    let new = matched("urn:new", with_id("Q999999")).await;
    assert_eq!(matched("urn:new:2", with_id("Q999999")).await, new);
    assert_eq!(service.count("select count(*) from participant").await, COUNT as i64 + 3);
}
