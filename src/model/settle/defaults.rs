//! The presences and regions that no report states: they follow from the participants, and from what the reports say of
//! them. A report stays as it was told.

use std::collections::HashMap;

use super::{
    disputes::{Field, ParticipationField},
    ranked_report::RankedReport,
    settled_ids::Ids,
};
use crate::{
    model::{
        meeting::takes_part,
        participant::{PersonFacts, Persons},
        resource::Collection,
    },
    pb::{
        Account, Participation, Statement,
        account::Kind,
        participant::Kind as ParticipantKind,
        participation::{Presence, Role},
        statement::SpeakerKind,
    },
};

/// How accounts mention one participation.
#[derive(Clone, Copy, Debug, Default)]
struct Mention {
    /// It has a part in the event besides speaking: a role, a delegation, the initiative, or it represents another.
    acts: bool,
    speaks: bool,
    /// It speaks otherwise than as an institution.
    speaks_in_person: bool,
    announces: bool,
    is_addressed: bool,
    /// Another one represents it.
    is_represented: bool,
}

impl Mention {
    /// True if it is only addressed, or only announces the event.
    fn is_only_told(self) -> bool {
        !self.acts && !self.speaks && (self.is_addressed || self.announces)
    }
}

/// Adds the mentions of one account. `at` is the index of the participation with a local id.
fn add_mentions(mentions: &mut [Mention], account: &Account, at: impl Fn(&str) -> Option<usize>) {
    let mut set = |id: &str, set: &dyn Fn(&mut Mention)| {
        if let Some(mention) = at(id).and_then(|at| mentions.get_mut(at)) {
            set(mention);
        }
    };
    for participation in &account.participations {
        let is_speaker = participation.roles.contains(&(Role::Speaker as i32));
        let has_part = participation.roles.iter().any(|role| *role != Role::Speaker as i32)
            || !participation.delegation.is_empty()
            || !participation.on_behalf_of.is_empty();
        set(&participation.id, &|mention| {
            mention.acts |= has_part;
            mention.speaks |= is_speaker;
            mention.speaks_in_person |= is_speaker;
        });
        set(&participation.on_behalf_of, &|mention| mention.is_represented = true);
    }
    set(&account.initiator, &|mention| mention.acts = true);
    if let Some(announcement) = &account.announcement {
        set(&announcement.participation, &|mention| mention.announces = true);
    }
    for Statement { speaker_kind, speakers, addressees, .. } in &account.statements {
        let in_person = *speaker_kind != SpeakerKind::Institution as i32;
        for speaker in speakers {
            set(speaker, &|mention| {
                mention.speaks = true;
                mention.speaks_in_person |= in_person;
            });
        }
        for addressee in addressees {
            set(addressee, &|mention| mention.is_addressed = true);
        }
    }
}

/// The presences of the participations for which none is stated. See [`super::settle`] for the rule.
fn presences(kind: Kind, parts: &[(&Participation, Mention, Option<&PersonFacts>)]) -> Vec<Presence> {
    let attends = match kind {
        // There is no event that they could attend.
        Kind::StatementOnly => return vec![Presence::Unspecified; parts.len()],
        Kind::PhoneCall | Kind::VideoCall => Presence::Remote,
        _ => Presence::Present,
    };
    let stated_or_default = |(part, mention, person): &(&Participation, Mention, Option<&PersonFacts>)| {
        let is_institution = match person {
            Some(person) => matches!(person.kind, ParticipantKind::Organization | ParticipantKind::State),
            None => mention.speaks && !mention.speaks_in_person,
        };
        match part.presence() {
            Presence::Unspecified if mention.is_represented => Presence::Represented,
            Presence::Unspecified if mention.is_only_told() => Presence::Referenced,
            Presence::Unspecified if mention.speaks && !mention.acts && is_institution => Presence::Referenced,
            Presence::Unspecified => attends,
            stated => stated,
        }
    };
    let mut presences: Vec<Presence> = parts.iter().map(stated_or_default).collect();
    let attending = presences.iter().filter(|presence| is_attending(**presence)).count();
    if attending < 2 && has_two_sides(kind) {
        // The one who is addressed is the other side.
        for ((part, mention, _), presence) in parts.iter().zip(&mut presences) {
            if part.presence() == Presence::Unspecified && mention.is_only_told() && mention.is_addressed {
                *presence = attends;
            }
        }
    }
    presences
}

fn is_attending(presence: Presence) -> bool {
    takes_part(&Participation { presence: presence.into(), ..Default::default() })
}

/// True for events that take at least two.
fn has_two_sides(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Talks
            | Kind::PhoneCall
            | Kind::VideoCall
            | Kind::Reception
            | Kind::Summit
            | Kind::Negotiation
            | Kind::Mediation
            | Kind::Consultation
    )
}

fn person<'a>(participation: &Participation, persons: &'a Persons) -> Option<&'a PersonFacts> {
    persons.get(&Collection::Participants.id(&participation.participant)?)
}

/// The presences and regions that a settled account lacks.
#[derive(Debug, Default)]
pub struct Defaults<'a> {
    /// Each with the position of its participation in the account.
    parts: Vec<(usize, Presence, &'a str)>,
}

impl<'a> Defaults<'a> {
    /// The defaults of the account that was settled from these reports, with its rulings.
    pub fn of(account: &Account, ids: &Ids<'_>, persons: &'a Persons) -> Self {
        let mut mentions = vec![Mention::default(); ids.participations.len()];
        for report in &ids.reports {
            let RankedReport { account, .. } = report;
            add_mentions(&mut mentions, account, |id| report.participation(id));
        }
        let indexes: HashMap<&str, usize> =
            ids.participations.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect();
        let mention = |id: &str| indexes.get(id).map(|index| mentions[*index]).unwrap_or_default();
        Self::of_mentions(account, mention, |participation| person(participation, persons))
    }

    fn of_mentions(
        account: &Account,
        mention: impl Fn(&str) -> Mention,
        person: impl Fn(&Participation) -> Option<&'a PersonFacts>,
    ) -> Self {
        let parts: Vec<(&Participation, Mention, Option<&PersonFacts>)> = account
            .participations
            .iter()
            .map(|participation| (participation, mention(&participation.id), person(participation)))
            .collect();
        let presences = presences(account.kind(), &parts);
        let regions =
            account.participations.iter().map(&person).map(|facts| facts.map_or("", |facts| &facts.region_code));
        let all = account.participations.iter().zip(presences).zip(regions).enumerate();
        let lacking = all.filter_map(|(position, ((participation, presence), region))| {
            let is_unset = participation.presence() == Presence::Unspecified;
            let presence = if is_unset { presence } else { Presence::Unspecified };
            let region = if participation.region_code.is_empty() { region } else { "" };
            (presence != Presence::Unspecified || !region.is_empty()).then_some((position, presence, region))
        });
        Self { parts: lacking.collect() }
    }

    /// The fields of the account that get a default.
    pub fn fields<'s>(&self, account: &'s Account) -> Vec<Field<'s>> {
        let mut fields = Vec::with_capacity(self.parts.len());
        for (position, presence, region) in &self.parts {
            let id = &account.participations[*position].id;
            let set = [
                (*presence != Presence::Unspecified, ParticipationField::Presence),
                (!region.is_empty(), ParticipationField::Region),
            ];
            fields.extend(set.iter().filter(|(is_set, _)| *is_set).map(|(_, field)| Field::Participation(id, *field)));
        }
        fields
    }

    /// Completes the account.
    pub fn apply(self, account: &mut Account) {
        for (position, presence, region) in self.parts {
            let participation = &mut account.participations[position];
            if presence != Presence::Unspecified {
                participation.set_presence(presence);
            }
            if !region.is_empty() {
                region.clone_into(&mut participation.region_code);
            }
        }
    }
}

/// Completes the account of one report as settling it alone would: for comparisons with settled accounts. `person` has
/// the facts of the participant of a participation.
pub fn complete<'a>(account: &mut Account, person: impl Fn(&Participation) -> Option<&'a PersonFacts>) {
    let mut mentions = vec![Mention::default(); account.participations.len()];
    let indexes: HashMap<String, usize> =
        account.participations.iter().enumerate().map(|(index, part)| (part.id.clone(), index)).collect();
    add_mentions(&mut mentions, account, |id| indexes.get(id).copied());
    let mention = |id: &str| indexes.get(id).map(|index| mentions[*index]).unwrap_or_default();
    Defaults::of_mentions(account, mention, person).apply(account);
}
