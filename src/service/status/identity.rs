//! The statuses of refused decisions on who is one person.

use tonic::{Code, Status};

use super::status;
use crate::{
    pb::ErrorReason as Reason,
    service::error::{IdentityConflict, IdentityRule},
};

/// The status of a refused decision.
pub fn refused(IdentityConflict { rule, name, other }: IdentityConflict) -> Status {
    let (reason, message) = match rule {
        IdentityRule::DifferentKinds => (Reason::DifferentKinds, format!("{name} and {other} have different kinds")),
        IdentityRule::MergeCycle => {
            (Reason::MergeCycle, format!("{other} was merged into {name}: undo that merge first"))
        }
        IdentityRule::JudgedDifferent => (
            Reason::JudgedDifferent,
            format!("{name} and {other} were judged to be different: withdraw that judgement first"),
        ),
        IdentityRule::ContradictingIds => (
            Reason::ContradictingIds,
            format!("{name} and {other} have different external ids in one scheme: judge them to be the same first"),
        ),
        IdentityRule::ClusterTooLarge => {
            (Reason::ClusterTooLarge, format!("more than 1,000 participants would be settled as one with {name}"))
        }
        IdentityRule::NotMerged => (Reason::NotMerged, format!("{name} was not merged by hand")),
        IdentityRule::NotJudged => (Reason::NotJudged, format!("there is no judgement on {name} and {other}")),
        IdentityRule::MergedByHand => {
            (Reason::MergedByHand, format!("{name} and {other} are merged by hand: undo the merge first"))
        }
        IdentityRule::TooManyJudgements => {
            (Reason::TooManyJudgements, format!("{name} or {other} would have more than 1,000 judgements"))
        }
    };
    let metadata = [("name", name), ("other", other)];
    status(Code::FailedPrecondition, reason, message, metadata.into_iter().filter(|(_, value)| !value.is_empty()))
}
