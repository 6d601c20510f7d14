//! Clients with a certificate, and clients without.

use readout::config::ClientAuth;
use tempfile::tempdir;

use super::{call_as, certificates, serve_tls};
use crate::support::certificate_authority::Authority;

#[tokio::test]
async fn service_that_requires_client_certificates_accepts_only_valid_ones() {
    let (dir, authority, clients) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let certificate = clients.client("dashboard");
    let tls = certificates(dir.path(), &authority, Some((&clients, ClientAuth::Required)));
    let service = serve_tls(tls, &authority, Some(&certificate)).await;
    assert_eq!(call_as(&authority, service.address, Some(&certificate)).await, Ok(()));
    let untrusted = Authority::new().client("dashboard");
    let expired = clients.expired_client("dashboard");
    for (client, alert) in
        [(None, "CertificateRequired"), (Some(&untrusted), "UnknownCA"), (Some(&expired), "CertificateExpired")]
    {
        let refused = call_as(&authority, service.address, client).await.unwrap_err();
        assert!(refused.contains(alert), "{refused}");
    }
    assert_eq!(call_as(&authority, service.address, Some(&certificate)).await, Ok(()));
    service.stop().await;
}

#[tokio::test]
async fn service_with_optional_client_certificates_refuses_invalid_ones() {
    let (dir, authority, clients) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let tls = certificates(dir.path(), &authority, Some((&clients, ClientAuth::Optional)));
    let service = serve_tls(tls, &authority, None).await;
    assert_eq!(call_as(&authority, service.address, Some(&clients.client("dashboard"))).await, Ok(()));
    for invalid in [Authority::new().client("dashboard"), clients.expired_client("dashboard")] {
        assert!(call_as(&authority, service.address, Some(&invalid)).await.is_err());
    }
    service.stop().await;
}
