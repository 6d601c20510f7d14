//! Certificates that are replaced while the service runs.

use std::{fs, time::Duration};

use readout::config::Tls;
use tempfile::tempdir;

use super::{call_as, certificates, serve_tls};
use crate::support::{
    certificate_authority::Authority,
    data_dir::{DataDir, eventually},
    follow,
    program::Program,
};

#[tokio::test]
async fn reloaded_certificates_serve_new_connections_and_old_connections_stay_open() {
    let (dir, old, new) = (tempdir().unwrap(), Authority::new(), Authority::new());
    let tls = Tls { tls_reload: Duration::from_millis(20), ..certificates(dir.path(), &old, None) };
    let service = serve_tls(tls, &old, None).await;
    let mut watch = service.watch(follow::all(follow::beginning())).await;
    certificates(dir.path(), &new, None);
    eventually("the new certificate", async || call_as(&new, service.address, None).await.is_ok()).await;
    let refused = call_as(&old, service.address, None).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let (person, _) = service.add_person("Kerim Veliyev").await;
    assert_eq!(watch.change().await.name, person.name);
    drop(watch);
    service.stop().await;
}

#[tokio::test]
async fn invalid_certificate_files_keep_the_old_certificates_in_use() {
    let data = DataDir::with_database().await;
    let (dir, old, new) = (tempdir().unwrap(), Authority::new(), Authority::new());
    certificates(dir.path(), &old, None);
    let paths = ["service.pem", "service.key"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    let [cert, key] = &paths;
    // The interval is so long that only SIGHUP causes a reload.
    let program = Program::start(&data, &["--tls-cert", cert, "--tls-key", key, "--tls-reload", "3600"]);
    let address = program.address().await;
    assert_eq!(call_as(&old, address, None).await, Ok(()));

    // The certificate is replaced before its key.
    let pair = new.service();
    fs::write(cert, &pair.cert).unwrap();
    program.signal("HUP");
    let line = program.logged("the certificates cannot be renewed, and the old ones stay in use").await;
    assert_eq!(line["error"], format!("{key} is not the key of {cert}"));
    assert_eq!(call_as(&old, address, None).await, Ok(()));

    fs::write(key, &pair.key).unwrap();
    program.signal("HUP");
    program.logged("the certificates were renewed").await;
    assert_eq!(call_as(&new, address, None).await, Ok(()));
    assert!(call_as(&old, address, None).await.is_err());
    program.stop().await;
}
