//! When two participants may be one: the exact matching of stories.

use crate::pb::Participant;

/// Whether `known` may be the one that `sent` describes: of its kind, and of no other region or identity. Whoever asks
/// has found that a name or an external id of both is equal.
pub fn agrees(known: &Participant, sent: &Participant) -> bool {
    known.kind == sent.kind && agrees_on_region(known, sent) && !contradicts_on_ids(known, sent)
}

fn agrees_on_region(known: &Participant, sent: &Participant) -> bool {
    let (known, sent) = (&known.region_code, &sent.region_code);
    known.is_empty() || sent.is_empty() || known == sent
}

/// Another identifier in the same catalogue is another identity.
fn contradicts_on_ids(known: &Participant, sent: &Participant) -> bool {
    let values = |of: &Participant, scheme: &str| -> Vec<String> {
        let ids = of.external_ids.iter().filter(|id| id.scheme == scheme);
        ids.map(|id| id.value.clone()).collect()
    };
    sent.external_ids.iter().any(|id| {
        let known = values(known, &id.scheme);
        !known.is_empty() && !values(sent, &id.scheme).iter().any(|value| known.contains(value))
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
    fn an_unset_region_contradicts_nothing() {
        assert!(agrees(&participant("AZ", &[]), &participant("", &[])));
        assert!(agrees(&participant("", &[]), &participant("AZ", &[])));
        assert!(!agrees(&participant("AZ", &[]), &participant("RU", &[])));
    }

    #[test]
    fn another_id_in_the_same_catalogue_is_somebody_else() {
        assert!(agrees(&participant("", &["Q1"]), &participant("", &[])));
        assert!(agrees(&participant("", &["Q1", "Q2"]), &participant("", &["Q2"])));
        assert!(!agrees(&participant("", &["Q1"]), &participant("", &["Q2"])));
    }

    #[test]
    fn a_person_is_no_organization() {
        let mut organization = participant("", &[]);
        organization.set_kind(Kind::Organization);
        assert!(!agrees(&organization, &participant("", &[])));
    }
}
