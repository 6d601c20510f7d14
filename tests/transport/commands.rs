//! Client commands over TLS.

use std::fs;

use readout::config::ClientAuth;
use tempfile::tempdir;

use super::{certificates, serve_tls};
use crate::commands::connect::each_fails_at_once;
use crate::support::{
    certificate_authority::Authority,
    program::{Ran, run, run_with_input},
    stories,
};

#[tokio::test]
async fn client_commands_present_a_certificate_and_verify_the_service() {
    let (dir, authority, clients) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let certificate = clients.client("pipeline");
    certificate.write(dir.path(), "pipeline");
    fs::write(dir.path().join("ca.pem"), authority.cert()).unwrap();
    let tls = certificates(dir.path(), &authority, Some((&clients, ClientAuth::Required)));
    let service = serve_tls(tls, &authority, Some(&certificate)).await;
    let url = format!("https://localhost:{}", service.address.port());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (ca, cert, key) = (path("ca.pem"), path("pipeline.pem"), path("pipeline.key"));
    let (empty, token) = (path("empty"), path("token"));
    fs::write(&token, "secret\n").unwrap();
    fs::write(&empty, "\n").unwrap();
    let flags = ["--server", &url, "--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];

    let imported = run_with_input([&["import", "-"], &flags[..]].concat(), stories::azernews_line().as_bytes()).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let exported = run([&["export"], &flags[..]].concat()).await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let watch = ["watch", "--from", "beginning", "--until-caught-up"];
    let Ran { code, stdout, .. } = run([&watch, &flags[..]].concat()).await;
    assert_eq!(code, Some(0));
    assert!(stdout.lines().count() > 5, "{stdout}");

    for (args, expected) in [
        // The system's authorities did not sign the certificate of the service.
        (vec!["--server", &url], format!("readout: no connection to {url}: ")),
        (vec!["--server", &url, "--tls-ca", &empty], "readout: ".to_owned()),
        (
            vec!["--server", "http://127.0.0.1:1", "--tls-ca", &ca],
            "readout: --tls-ca and --tls-cert need an".to_owned(),
        ),
        (vec!["--server", &url, "--tls-cert", &cert], "error: the following required".to_owned()),
        (vec!["--server", &url, "--token-file", &empty], format!("readout: {empty} is empty")),
        (
            vec!["--server", "http://192.0.2.1:1", "--token-file", &token],
            "readout: the token would be sent to http://192.0.2.1:1 in plaintext: use https://, or give --insecure"
                .to_owned(),
        ),
    ] {
        let ran = run([&["export"], &args[..]].concat()).await;
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with(&expected), "{args:?}: {ran:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn client_commands_fail_at_once_on_plaintext_to_tls_and_on_an_untrusted_service() {
    let (dir, authority, other) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let service = serve_tls(certificates(dir.path(), &authority, None), &authority, None).await;
    let port = service.address.port();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("other.pem"), other.cert()).unwrap();
    let url = format!("https://localhost:{port}");
    let plaintext = "it speaks TLS: write https:// instead of http://";
    each_fails_at_once(&["--server", &format!("http://localhost:{port}")], plaintext).await;
    each_fails_at_once(&["--server", &url], "certificate").await;
    each_fails_at_once(&["--server", &url, "--tls-ca", &path("other.pem")], "certificate").await;
    service.stop().await;
}
