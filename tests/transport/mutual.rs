//! Clients that show a certificate, and those that do not.

use readout::config::ClientAuth;
use tempfile::tempdir;

use super::{call_as, certificates, serve_tls};
use crate::support::authority::Authority;

#[tokio::test]
async fn where_certificates_are_required_only_those_of_the_authority_come_in() {
    let (dir, authority, clients) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let known = clients.client("dashboard");
    let tls = certificates(dir.path(), &authority, Some((&clients, ClientAuth::Required)));
    let service = serve_tls(tls, &authority, Some(&known)).await;
    assert_eq!(call_as(&authority, service.address, Some(&known)).await, Ok(()));
    let stranger = Authority::new().client("dashboard");
    let expired = clients.expired_client("dashboard");
    for (client, alert) in
        [(None, "CertificateRequired"), (Some(&stranger), "UnknownCA"), (Some(&expired), "CertificateExpired")]
    {
        let refused = call_as(&authority, service.address, client).await.unwrap_err();
        assert!(refused.contains(alert), "{refused}");
    }
    assert_eq!(call_as(&authority, service.address, Some(&known)).await, Ok(()));
    service.stop().await;
}

#[tokio::test]
async fn where_certificates_are_optional_none_is_as_good_but_a_wrong_one_is_not() {
    let (dir, authority, clients) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let tls = certificates(dir.path(), &authority, Some((&clients, ClientAuth::Optional)));
    let service = serve_tls(tls, &authority, None).await;
    assert_eq!(call_as(&authority, service.address, Some(&clients.client("dashboard"))).await, Ok(()));
    for wrong in [Authority::new().client("dashboard"), clients.expired_client("dashboard")] {
        assert!(call_as(&authority, service.address, Some(&wrong)).await.is_err());
    }
    service.stop().await;
}
