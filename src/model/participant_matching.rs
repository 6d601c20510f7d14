//! The exact matching of participants in ingested stories: decides if two records may describe the same participant.

use crate::pb::Participant;

/// True if `stored` may be the participant that `sent` describes: the kinds are equal, and neither regions nor external
/// ids contradict each other. Precondition: the two share a name or an external id.
pub fn may_match(stored: &Participant, sent: &Participant) -> bool {
    stored.kind == sent.kind && agrees_on_region(stored, sent) && !contradicts_on_ids(stored, sent)
}

fn agrees_on_region(stored: &Participant, sent: &Participant) -> bool {
    let (stored, sent) = (&stored.region_code, &sent.region_code);
    stored.is_empty() || sent.is_empty() || stored == sent
}

/// True if both have ids in the same scheme, and none in common: another id in a catalogue is another identity.
fn contradicts_on_ids(stored: &Participant, sent: &Participant) -> bool {
    let values = |participant: &Participant, scheme: &str| -> Vec<String> {
        let ids = participant.external_ids.iter().filter(|id| id.scheme == scheme);
        ids.map(|id| id.value.clone()).collect()
    };
    sent.external_ids.iter().any(|id| {
        let stored = values(stored, &id.scheme);
        !stored.is_empty() && !values(sent, &id.scheme).iter().any(|value| stored.contains(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{ExternalId, participant::Kind};

    fn participant(region: &str, wikidata: &[&str]) -> Participant {
        let id = |value: &&str| ExternalId { scheme: "wikidata".into(), value: (*value).into() };
        let mut participant = Participant {
            region_code: region.into(),
            external_ids: wikidata.iter().map(id).collect(),
            ..Default::default()
        };
        participant.set_kind(Kind::Person);
        participant
    }

    #[test]
    fn may_match_ignores_an_unset_region() {
        assert!(may_match(&participant("AZ", &[]), &participant("", &[])));
        assert!(may_match(&participant("", &[]), &participant("AZ", &[])));
        assert!(!may_match(&participant("AZ", &[]), &participant("RU", &[])));
    }

    #[test]
    fn may_match_refuses_another_id_in_the_same_catalogue() {
        assert!(may_match(&participant("", &["Q1"]), &participant("", &[])));
        assert!(may_match(&participant("", &["Q1", "Q2"]), &participant("", &["Q2"])));
        assert!(!may_match(&participant("", &["Q1"]), &participant("", &["Q2"])));
    }

    #[test]
    fn may_match_refuses_another_kind() {
        let mut organization = participant("", &[]);
        organization.set_kind(Kind::Organization);
        assert!(!may_match(&organization, &participant("", &[])));
    }
}
