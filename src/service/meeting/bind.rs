//! MeetingService.BindParticipation: says which participant one participation of a report means, and settles the meeting
//! with it.

use uuid::Uuid;

use super::{
    settle_inputs::load_inputs_to_settle,
    size_limits::{check_report_size, check_settled_size},
};
use crate::{
    model::{
        resource::{Collection, Resource, timestamp},
        rules::{Path, Violations},
        text::quoted::quoted,
    },
    pb::{BindParticipationRequest, Binding, Meeting, Report, report::State},
    service::{
        Api,
        error::ServiceError,
        id, require_live_people,
        write::{
            WritePlan,
            idempotency::WriteCall,
            revise::{load_current, plan_revision, plan_unchanged, with_etag},
        },
    },
    store::{
        change,
        write::{Put, clock},
    },
};

/// Prepares a binding, or the withdrawal of one.
///
/// # Errors
/// `NotFound`, `AlreadyRetracted`, `EtagMismatch`, `NewerContract`, `OutOfScope`, `Invalid` for an unknown participation,
/// `NotBound` for a withdrawal without a binding, `NotFound` or `Deleted` for the participant, `ReportTooLarge`,
/// `MeetingTooLarge`.
pub async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &BindParticipationRequest,
) -> Result<WritePlan<Report>, ServiceError> {
    let former: Report = load_current(api, &request.report).await?;
    if former.state() == State::Retracted {
        return Err(ServiceError::AlreadyRetracted(former.name));
    }
    let former = with_etag(former, &request.etag)?;
    let read_articles = call.scope.require_stored(&api.store, &former.article).await?;
    let participations = || former.account.iter().flat_map(|account| &account.participations);
    let Some(index) = participations().position(|participation| participation.id == request.participation) else {
        let mut violations = Violations::default();
        let description = format!("is not a participation of the report: {}", quoted(&request.participation));
        violations.add(&Path::ROOT.field("participation"), description);
        return Err(violations.into());
    };
    let bound = former.bindings.iter().find(|binding| binding.participation == request.participation);
    match bound {
        None if request.participant.is_empty() => {
            return Err(ServiceError::NotBound { name: former.name, participation: request.participation.clone() });
        }
        Some(bound) if bound.participant == request.participant => {
            return Ok(plan_unchanged(call, request.validate_only, former));
        }
        _ => {}
    }
    let participant: Vec<Uuid> = Collection::Participants.id(&request.participant).into_iter().collect();
    let (aliases, persons) = require_live_people(&api.store, &participant).await?;

    let now = clock::now();
    let mut next = former.clone();
    next.bindings.retain(|binding| binding.participation != request.participation);
    if !request.participant.is_empty() {
        next.bindings.push(Binding {
            participation: request.participation.clone(),
            participant: request.participant.clone(),
            reason: request.reason.clone(),
            time: Some(timestamp(now)),
        });
        let order: Vec<&str> = participations().map(|participation| participation.id.as_str()).collect();
        let place = |binding: &Binding| order.iter().position(|id| *id == binding.participation).unwrap_or(index);
        next.bindings.sort_by_key(place);
    }
    next.make_next_revision(&former, now);
    check_report_size(api.message_bound, &next)?;

    let meeting_id = id::<Meeting>(&former.meeting)?;
    let meeting: Meeting = load_current(api, &former.meeting).await?;
    let mut inputs = load_inputs_to_settle(api, &[meeting_id]).await?.remove(&meeting_id).unwrap_or_default();
    inputs.aliases.extend(aliases);
    inputs.persons.extend(persons);
    inputs.rebind(&next);
    let settled = inputs.settled(&meeting, now);
    check_settled_size(api.message_bound, &settled, Some(&meeting))?;
    let (answer, settled_as, persons) = (next.clone(), inputs.aliases.clone(), inputs.persons.clone());
    Ok(plan_revision(call, request.validate_only, answer, |write| {
        write.reports.push(Put::next(next.id().unwrap_or_default(), next, change::Kind::Bound));
        write.meetings.push(inputs.put(settled, change::Kind::Bound));
        write.reason.clone_from(&request.reason);
        write.read_articles = read_articles;
        write.aliases = settled_as;
        write.persons = persons;
    }))
}
