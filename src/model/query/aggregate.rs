//! What meetings can be grouped by, and in which orders the groups can be: the words of `AggregateMeetings`.

use crate::{
    model::{
        rules::{Path, Violations},
        text::{
            quoted::shown,
            suggestion::{did_you_mean, nearest},
        },
    },
    pb::ErrorReason,
};

/// A property that meetings are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What sort of event it was.
    Kind,
    /// Whether it took place.
    Status,
    /// The region of its place.
    PlaceRegion,
    /// The year of its first day.
    Year,
    /// The quarter of its first day.
    Quarter,
    /// The month of its first day.
    Month,
    /// Each region of those who take part.
    Region,
    /// Each two of these.
    RegionPair,
    /// Each topic.
    Topic,
    /// Each seniority of an office.
    Seniority,
    /// Each participant who was there.
    Participant,
    /// Each two of these.
    ParticipantPair,
}

impl Group {
    const ALL: [Self; 12] = [
        Self::Kind,
        Self::Status,
        Self::PlaceRegion,
        Self::Year,
        Self::Quarter,
        Self::Month,
        Self::Region,
        Self::RegionPair,
        Self::Topic,
        Self::Seniority,
        Self::Participant,
        Self::ParticipantPair,
    ];

    /// Its word in requests and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Status => "status",
            Self::PlaceRegion => "place.region",
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Region => "region",
            Self::RegionPair => "region_pair",
            Self::Topic => "topic",
            Self::Seniority => "seniority",
            Self::Participant => "participant",
            Self::ParticipantPair => "participant_pair",
        }
    }

    /// What a property given twice stands for.
    const fn doubled(self) -> Option<Self> {
        match self {
            Self::Region => Some(Self::RegionPair),
            Self::Participant => Some(Self::ParticipantPair),
            _ => None,
        }
    }
}

/// Which groups come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those with most meetings.
    MeetingCount,
    /// Those with most participants.
    ParticipantCount,
    /// Those with the smallest keys.
    Key,
}

impl Order {
    const ALL: [Self; 3] = [Self::MeetingCount, Self::ParticipantCount, Self::Key];

    const fn as_str(self) -> &'static str {
        match self {
            Self::MeetingCount => "meeting_count desc",
            Self::ParticipantCount => "participant_count desc",
            Self::Key => "key",
        }
    }

    /// Reads `order_by`; empty is the default.
    pub fn parse(text: &str) -> Result<Self, Violations> {
        let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            return Ok(Self::MeetingCount);
        }
        Self::ALL.into_iter().find(|order| order.as_str() == words).ok_or_else(|| {
            let at = Path::ROOT.field("order_by");
            refused(ErrorReason::InvalidOrder, &at, &words, &Self::ALL.map(Self::as_str))
        })
    }
}

/// Reads `group_by`, of which the contract's rules have checked the length.
pub fn groups(words: &[String]) -> Result<Vec<Group>, Violations> {
    let at = Path::ROOT.field("group_by");
    let group = |(index, word): (usize, &String)| {
        let known = Group::ALL.into_iter().find(|group| group.as_str() == word);
        known.ok_or_else(|| refused(ErrorReason::InvalidField, &at.index(index), word, &Group::ALL.map(Group::as_str)))
    };
    let groups: Vec<Group> = words.iter().enumerate().map(group).collect::<Result<_, _>>()?;
    match *groups {
        [one, other] if one == other => {
            let Some(pair) = one.doubled() else {
                let mut violations = Violations::default();
                violations.add(&at.index(1), format!("repeats an earlier item: {:?}", one.as_str()));
                return Err(violations);
            };
            Ok(vec![pair])
        }
        _ => Ok(groups),
    }
}

/// A word that is none of those that can be used, with the one that was probably meant.
fn refused(reason: ErrorReason, at: &Path<'_>, word: &str, known: &[&str]) -> Violations {
    let nearest = did_you_mean(nearest(known.iter().copied(), word));
    let description = format!("must be one of {}, not {}{nearest}", known.join(", "), shown(word));
    let mut violations = Violations::default();
    violations.add_as(reason, at, description);
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Vec<Group>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        groups(&words).map_err(|broken| broken.iter().map(|one| format!("{} {}", one.field, one.description)).collect())
    }

    #[test]
    fn a_group_is_known_by_its_word_and_pairs_by_the_word_twice() {
        assert_eq!(parsed(&[]), Ok(vec![]));
        for group in Group::ALL {
            assert_eq!(parsed(&[group.as_str()]), Ok(vec![group]));
        }
        assert_eq!(parsed(&["year", "kind"]), Ok(vec![Group::Year, Group::Kind]));
        assert_eq!(parsed(&["region", "region"]), Ok(vec![Group::RegionPair]));
        assert_eq!(parsed(&["participant", "participant"]), Ok(vec![Group::ParticipantPair]));
        assert_eq!(parsed(&["year", "year"]), Err("group_by[1] repeats an earlier item: \"year\"".to_owned()));
    }

    #[test]
    fn another_word_is_refused_with_the_nearest_one() {
        let told = parsed(&["year", "mnth"]).unwrap_err();
        assert!(told.starts_with("group_by[1] must be one of kind, status, "), "{told}");
        assert!(told.ends_with("; did you mean \"month\"?"), "{told}");
        assert!(!parsed(&["president"]).unwrap_err().contains("did you mean"));
        assert!(parsed(&["KIND"]).is_err());
    }

    #[test]
    fn orders_are_few() {
        assert_eq!(Order::parse(""), Ok(Order::MeetingCount));
        assert_eq!(Order::parse(" participant_count  desc"), Ok(Order::ParticipantCount));
        assert_eq!(Order::parse("key"), Ok(Order::Key));
        for unknown in ["meeting_count", "key desc", "date", "KEY"] {
            assert!(Order::parse(unknown).is_err(), "{unknown}");
        }
    }
}
