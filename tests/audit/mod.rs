//! The audit log: the events of writes, refusals, tokens and reads, and their list.

mod flood;
mod follow;
mod lasting;
mod lines;
mod methods;
mod refusals;
mod story;
mod writes;

use std::time::Duration;

use readout::pb::{AuditEvent, ListAuditEventsRequest, audit_service_client::AuditServiceClient};
use tokio::time::{Instant, sleep};
use tonic::Request;

use crate::support::Service;

/// All events that match a filter, the oldest first.
async fn events(service: &Service, token: Option<&str>, filter: &str) -> Vec<AuditEvent> {
    let mut client = AuditServiceClient::new(service.channel().await);
    let (mut events, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            ListAuditEventsRequest { filter: filter.into(), page_size: 1_000, page_token, order_by: "time".into() };
        let mut request = Request::new(request);
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
        }
        let page = client.list_audit_events(request).await.expect("the list").into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            return events;
        }
        page_token = page.next_page_token;
    }
}

/// Waits until the events that match a filter fulfil a condition, at most 2 s.
async fn events_when(
    service: &Service,
    token: Option<&str>,
    filter: &str,
    is_fulfilled: impl Fn(&[AuditEvent]) -> bool,
) -> Vec<AuditEvent> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let events = events(service, token, filter).await;
        if is_fulfilled(&events) {
            return events;
        }
        assert!(Instant::now() < deadline, "{events:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
