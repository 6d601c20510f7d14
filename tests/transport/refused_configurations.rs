//! Configurations with which the service refuses to start.

use std::fs;

use tempfile::tempdir;

use super::certificates;
use crate::support::{certificate_authority::Authority, program::run};

/// A database that is never opened, because the configuration is refused first.
const UNREAD: &str = "postgres://127.0.0.1:1/none";

/// Runs a service that refuses to start, and returns the last message of its log.
async fn refused(database: &str, args: &[&str]) -> String {
    let ran = run(["serve", "--database-url", database, "--log-format", "json"].iter().chain(args)).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let line = ran.stderr.lines().last().expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    line["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn incomplete_tls_configuration_is_reported_with_its_file() {
    let dir = tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    certificates(dir.path(), &authority, None);
    other.service().write(dir.path(), "other");
    fs::write(dir.path().join("empty.pem"), "").unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, other, empty, nowhere) =
        (&path("service.pem"), &path("service.key"), &path("other.key"), &path("empty.pem"), &path("nowhere.pem"));
    for (args, expected) in [
        (vec!["--tls-cert", cert], format!("--tls-cert {cert} needs its key: give --tls-key too")),
        (vec!["--tls-key", key], format!("--tls-key {key} needs its certificate: give --tls-cert too")),
        (vec!["--tls-client-ca", cert], format!("--tls-client-ca {cert} needs TLS: give --tls-cert and --tls-key too")),
        (vec!["--tls-cert", nowhere, "--tls-key", key], format!("cannot read {nowhere}: No such file")),
        (vec!["--tls-cert", cert, "--tls-key", nowhere], format!("cannot read {nowhere}: No such file")),
        (vec!["--tls-cert", empty, "--tls-key", key], format!("{empty} holds no certificate")),
        (vec!["--tls-cert", key, "--tls-key", key], format!("{key} holds no certificate")),
        (vec!["--tls-cert", cert, "--tls-key", cert], format!("{cert} holds no private key: ")),
        (vec!["--tls-cert", cert, "--tls-key", other], format!("{other} is not the key of {cert}")),
        (vec!["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", empty], format!("{empty} holds no certificate")),
    ] {
        let refused = refused(UNREAD, &args).await;
        assert!(refused.starts_with(&expected), "{args:?}: {refused}");
    }
}

#[tokio::test]
async fn service_refuses_plaintext_on_a_public_address_without_insecure() {
    for address in ["0.0.0.0:0", "192.0.2.1:50051", "[::]:0"] {
        let refused = refused(UNREAD, &["--listen", address]).await;
        assert!(refused.starts_with(&format!("--listen {address} can be reached from other machines")), "{refused}");
    }
    for address in ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:0", "[::ffff:192.0.2.1]:9464"] {
        let refused = refused(UNREAD, &["--operations-listen", address]).await;
        let expected = format!("--operations-listen {address} can be reached from other machines");
        assert!(refused.starts_with(&expected), "{refused}");
    }
    // The operations port is plain HTTP, also if the other port has TLS.
    let dir = tempdir().unwrap();
    certificates(dir.path(), &Authority::new(), None);
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let tls = ["--tls-cert", &path("service.pem"), "--tls-key", &path("service.key")];
    let refused_with_tls = refused(UNREAD, &[&tls[..], &["--operations-listen", "0.0.0.0:0"]].concat()).await;
    assert!(refused_with_tls.starts_with("--operations-listen 0.0.0.0:0 can be reached"), "{refused_with_tls}");
    for loopback in ["127.0.0.2:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        let refused = refused("none", &["--operations-listen", loopback]).await;
        assert!(refused.starts_with("DATABASE_URL is not a valid PostgreSQL url"), "{loopback}: {refused}");
    }
    // With `--insecure` only the database url is refused.
    let refused_url = refused("none", &["--operations-listen", "0.0.0.0:0", "--insecure"]).await;
    assert!(refused_url.starts_with("DATABASE_URL is not a valid PostgreSQL url"), "{refused_url}");
    let refused = refused("none", &["--listen", "0.0.0.0:0", "--insecure"]).await;
    assert!(refused.starts_with("DATABASE_URL is not a valid PostgreSQL url"), "{refused}");
}
