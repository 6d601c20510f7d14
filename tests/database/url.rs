//! `DATABASE_URL`: every supported form connects, and no output of the program contains a secret.

use std::{net::SocketAddr, path::PathBuf};

use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::support::{
    cluster::database,
    data_dir::{DataDir, within_timeout},
    program::{Program, Ran, run, run_with},
};

/// An empty database: its connect options, the directory of the cluster's socket, and its name.
async fn location() -> (PgConnectOptions, PathBuf, String) {
    let database = database().await;
    let directory = database.get_socket().expect("the private cluster has no other way in").clone();
    let name = database.get_database().expect("a database for each test").to_owned();
    (database, directory, name)
}

fn output(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

/// A TCP address that forwards to the cluster's socket while the test runs.
async fn bridge(address: &str, directory: &std::path::Path) -> Option<SocketAddr> {
    let listener = TcpListener::bind(address).await.ok()?;
    let socket = directory.join(".s.PGSQL.5432");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut server = UnixStream::connect(socket).await.expect("the cluster runs");
                tokio::io::copy_bidirectional(&mut stream, &mut server).await
            });
        }
    });
    Some(address)
}

#[tokio::test]
async fn database_url_connects_in_every_supported_form() {
    let (_, directory, name) = location().await;
    let directory = directory.to_str().expect("UTF-8");
    let encoded = directory.replace('/', "%2F");
    let tcp = bridge("127.0.0.1:0", directory.as_ref()).await.expect("a free port");
    let mut urls = vec![
        format!("postgresql:///{name}?user=readout&host={directory}"),
        format!("postgres://readout@{encoded}/{name}"),
        format!("postgres://readout:s3cret@{encoded}:5432/{name}?sslmode=disable&statement-cache-capacity=10"),
        format!("postgres://{encoded}/?user=readout&dbname={name}"),
        format!("postgres://readout@elsewhere/{name}?host={encoded}&port=5432&connect_timeout=60"),
        format!("postgres://readout@{tcp}/{name}?sslmode=prefer"),
        format!("postgres://readout@localhost:{}/{name}?hostaddr=127.0.0.1", tcp.port()),
        format!("POSTGRES://%72eadout@127.0.0.1:{}/{name}?keepalives=0&client_encoding=UTF8", tcp.port()),
    ];
    // A machine may have no IPv6.
    if let Some(address) = bridge("[::1]:0", directory.as_ref()).await {
        urls.push(format!("postgres://readout@{address}/{name}"));
    }
    for url in urls {
        let ran = run(["token", "list", "--database-url", &url]).await;
        assert_eq!(ran.code, Some(0), "{url}: {ran:?}");
        assert!(!output(&ran).contains("s3cret"), "{ran:?}");
    }
}

#[tokio::test]
async fn database_sessions_have_the_application_name_and_options_of_the_url() {
    let (database, directory, name) = location().await;
    let directory = directory.display();
    let url = format!(
        "postgresql:///{name}?user=readout&host={directory}&application_name=desk%201&options=-c%20geqo_seed%3D0.25"
    );
    let program = Program::serve_on(&url).await;
    let mut connection = database.connect().await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(
        "select distinct application_name from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()",
    )
    .bind(&name)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(names, ["desk 1"]);
    connection.close().await.unwrap();
    program.stop().await;
}

#[tokio::test]
async fn database_url_mistake_is_reported_without_secrets() {
    for (suffix, expected) in [
        ("?sslmod=s3cret", "there is no parameter \"sslmod\"; did you mean \"sslmode\"?"),
        ("?sslmode=s3cret", "the parameter sslmode must be one of disable, allow, prefer"),
        ("?schema=s3cret", "there is no parameter \"schema\""),
        ("?sslpassword=s3cret", "the parameter sslpassword cannot be honoured"),
        ("?application_name=s3cret&application_name=s3cret", "the parameter application_name is given twice"),
        ("s3cret/s3cret", "the name of the database has a /"),
    ] {
        let url = format!("postgres://desk:s3cret@127.0.0.1:1/readout{suffix}");
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["config"], &["migrate"], &["token", "list"]] {
            let ran = run_with(("READOUT_LOG", "trace"), [command, &["--database-url", &url]].concat()).await;
            assert!(matches!(ran.code, Some(1 | 2)), "{command:?}: {ran:?}");
            let output = output(&ran);
            let expected = expected.replace('"', if output.starts_with('{') { "\\\"" } else { "\"" });
            assert!(output.contains("DATABASE_URL is not a valid PostgreSQL url: "), "{output}");
            assert!(output.contains(&expected) && !output.contains("s3cret"), "{output}");
        }
    }
}

#[tokio::test]
async fn database_url_of_another_form_is_refused_with_the_expected_form() {
    for url in ["mysql://desk:s3cret@db/readout", "desk:s3cret@db/readout", "host=db password=s3cret", ""] {
        let ran = run_with(("DATABASE_URL", url), ["config"]).await;
        assert_eq!(ran.code, Some(2), "{url}: {ran:?}");
        assert!(ran.stderr.contains("write postgres://user:password@host:port/name"), "{ran:?}");
        assert!(!output(&ran).contains("s3cret"), "{ran:?}");
    }
}

#[tokio::test]
async fn silent_database_fails_after_the_connect_timeout_of_the_url() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut streams: Vec<TcpStream> = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            streams.push(stream);
        }
    });
    let url = format!("postgres://desk:s3cret@{address}/readout?connect_timeout=1");
    let ran = run(["migrate", "--database-url", &url]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("the database did not answer within 1 s (connect_timeout)"), "{ran:?}");
    accepting.abort();
}

#[tokio::test]
async fn jwks_url_is_logged_and_printed_without_its_parameters() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let keys = format!("http://{unused}/keys?token=s3cret");
    let jwt = ["--jwt-issuer", "https://issuer.example", "--jwt-audience", "readout", "--jwt-jwks", &keys];
    let printed = run([&["config"][..], &jwt].concat()).await;
    assert!(printed.stdout.contains(&format!("READOUT_JWT_JWKS=http://{unused}/keys?***\n")), "{printed:?}");

    let dir = DataDir::new();
    let (database, ..) = location().await;
    let url = database.to_url_lossy();
    let program = Program::serve_beside(&dir, url.as_str(), &[&jwt[..], &["--log", "debug"]].concat()).await;
    program.signal("TERM");
    let (code, log) = within_timeout("the service ends", program.ended()).await;
    assert_eq!(code, Some(0));
    let log = format!("{log:?}");
    assert!(log.contains("/keys?***") && !log.contains("s3cret"), "{log}");
}

#[tokio::test]
async fn invalid_argument_is_quoted_without_its_secret() {
    for arguments in [
        &["serve", "--jwt-jwks", "https://desk:s3cret@issuer.example/keys"][..],
        &["config", "--jwt-jwks", "http://issuer.example/keys?token=s3cret"],
        &["migrate", "postgres://desk:s3cret@db/readout"],
        &["serve", "--database_url", "postgres://desk:s3cret@db/readout"],
    ] {
        let ran = run(arguments).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.starts_with("error: ") && !output(&ran).contains("s3cret"), "{ran:?}");
    }
}
