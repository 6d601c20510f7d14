//! How often a caller may call.

use std::{fs, num::NonZeroU32, time::Duration};

use readout::{config::Access, model::role::Role, pb::ErrorReason};
use tempfile::tempdir;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{api_tokens, read, start, token};
use crate::support::{Refused, data_dir::eventually, program::run_with};

fn slow() -> Access {
    Access { rate: 1, rate_burst: NonZeroU32::new(5), ..api_tokens() }
}

#[tokio::test]
async fn whoever_calls_too_often_is_told_how_long_to_wait_and_nobody_else_is() {
    let service = start(slow()).await;
    let busy = token(&service.database, "busy", Role::Reader).await.reveal();
    let beside = token(&service.database, "busy", Role::Reader).await.reveal();
    let other = token(&service.database, "other", Role::Reader).await.reveal();
    let mut refused = None;
    for number in 0.. {
        if let Err(status) = read(&service, Some(&busy)).await {
            assert!(number >= 5, "{number}");
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("the loop ends so");
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay).expect("it says how long");
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::RateLimited));
    // Another token of that name is the same caller.
    assert_eq!(read(&service, Some(&beside)).await.unwrap_err().code(), Code::ResourceExhausted);
    read(&service, Some(&other)).await.expect("somebody else");
    eventually("it is let in again", async || read(&service, Some(&busy)).await.is_ok()).await;
}

#[tokio::test]
async fn any_number_of_calls_is_let_in_by_default() {
    let service = start(Access::default()).await;
    for _ in 0..500 {
        read(&service, None).await.expect("it is let in");
    }
}

#[tokio::test]
async fn an_import_waits_until_it_may_call_again() {
    let service = start(slow()).await;
    let token = token(&service.database, "desk", Role::Writer).await.reveal();
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("export");
    let participant = |number: u128| {
        let name = Uuid::from_u128(number + 1);
        format!(r#"{{"participant":{{"name":"participants/{name}","kind":"PERSON","displayName":"A {number}"}}}}"#)
    };
    let lines = std::iter::once(r#"{"header":{"format":"readout.v1"}}"#.to_owned()).chain((0..8).map(participant));
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("ours");
    let import =
        ["import", "--server", &service.address.to_string(), "--concurrency", "1", file.to_str().expect("ASCII")];
    let imported = run_with(("READOUT_TOKEN", &token), import).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert!(imported.stderr.contains("8 created, 0 matched, 0 failed"), "{imported:?}");
}
