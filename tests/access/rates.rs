//! Rate limits per caller.

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
async fn a_caller_over_its_rate_is_refused_with_a_retry_delay_and_others_are_not() {
    let service = start(slow()).await;
    let busy = token(&service.database, "busy", Role::Reader).await.reveal();
    let same_name = token(&service.database, "busy", Role::Reader).await.reveal();
    let other = token(&service.database, "other", Role::Reader).await.reveal();
    let mut refused = None;
    for number in 0.. {
        if let Err(status) = read(&service, Some(&busy)).await {
            assert!(number >= 5, "{number}");
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("a call is refused");
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay).expect("a retry delay");
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::RateLimited));
    // Another token with the same name is the same caller.
    assert_eq!(read(&service, Some(&same_name)).await.unwrap_err().code(), Code::ResourceExhausted);
    read(&service, Some(&other)).await.expect("another caller is not limited");
    eventually("the caller is admitted again", async || read(&service, Some(&busy)).await.is_ok()).await;
}

#[tokio::test]
async fn calls_are_not_rate_limited_by_default() {
    let service = start(Access::default()).await;
    for _ in 0..500 {
        read(&service, None).await.expect("the call is admitted");
    }
}

#[tokio::test]
async fn an_import_waits_out_a_rate_limit() {
    let service = start(slow()).await;
    let token = token(&service.database, "desk", Role::Writer).await.reveal();
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("export");
    let participant = |number: u128| {
        let name = Uuid::from_u128(number + 1);
        format!(r#"{{"participant":{{"name":"participants/{name}","kind":"PERSON","displayName":"A {number}"}}}}"#)
    };
    let lines = std::iter::once(r#"{"header":{"format":"readout.v1"}}"#.to_owned()).chain((0..8).map(participant));
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("the file is written");
    let import =
        ["import", "--server", &service.address.to_string(), "--concurrency", "1", file.to_str().expect("ASCII")];
    let imported = run_with(("READOUT_TOKEN", &token), import).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert!(imported.stderr.contains("8 created, 0 matched, 0 failed"), "{imported:?}");
}
