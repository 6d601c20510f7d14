//! AuditService: lists the events of the audit log.

use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{Api, read::pagination::Cursor};
use crate::{
    model::query::filter::{AUDIT_EVENTS, parse},
    pb::{AuditEvent, ListAuditEventsRequest, ListAuditEventsResponse, audit_service_server::AuditService},
    service::error::ServiceError,
    store::{audit_event, query::QueryClass},
};

#[tonic::async_trait]
impl AuditService for Api {
    async fn list_audit_events(
        &self,
        request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        let (request, budget) = self.read_query(request).await?;
        Ok(Response::new(list(self, &request, budget).await?))
    }
}

async fn list(
    api: &Api,
    request: &ListAuditEventsRequest,
    budget: std::time::Duration,
) -> Result<ListAuditEventsResponse, ServiceError> {
    let cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let filter = parse(AUDIT_EVENTS, &request.filter).map_err(ServiceError::Filter)?;
    let is_descending = request.order_by != "time";
    let mut query = api.store.bounded_query(QueryClass::Page, budget).await?;
    let page = audit_event::list(&mut query, &filter, is_descending, cursor.after, cursor.size).await?;
    let next_page_token = page.next.map(|after| cursor.token(after)).unwrap_or_default();
    Ok(ListAuditEventsResponse { events: page.events.into_iter().map(message).collect(), next_page_token })
}

fn message(event: audit_event::AuditEvent) -> AuditEvent {
    let audit_event::AuditEvent { time, id, principal, peer, method, names, reason, outcome, request_id, count } =
        event;
    // The nanoseconds of a second fit.
    let time = Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() as i32 };
    AuditEvent { time: Some(time), principal, peer, method, names, reason, outcome, request_id, count, id }
}
