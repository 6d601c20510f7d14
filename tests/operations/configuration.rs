//! `readout config`, and settings that are read from files.

use std::fs;

use tempfile::tempdir;

use crate::support::{
    cluster,
    data_dir::DataDir,
    program::{Program, run},
};

#[tokio::test]
async fn the_config_command_prints_the_configuration_without_secrets() {
    let url = "postgres://readout:s3cret@db:5432/readout?sslmode=require";
    let printed = run(["config", "--database-url", url, "--operations-listen", "127.0.0.1:9090"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let given = "# from the command line\n\
                 DATABASE_URL=postgres://readout:***@db:5432/readout?sslmode=require\n\
                 READOUT_OPERATIONS_LISTEN=127.0.0.1:9090\n";
    assert!(printed.stdout.starts_with(given), "{}", printed.stdout);
    assert!(printed.stdout.contains("\nREADOUT_LISTEN=127.0.0.1:50051\n"), "{}", printed.stdout);
    assert!(!printed.stdout.contains("s3cret"), "{}", printed.stdout);
}

#[tokio::test]
async fn the_config_command_refuses_an_invalid_configuration_as_serve_does() {
    let dir = tempdir().unwrap();
    let (url, missing) = (dir.path().join("url"), dir.path().join("missing"));
    fs::write(&url, "postgres://readout:s3cret@[/\n").unwrap();
    let (url, missing) = (url.to_str().unwrap(), missing.to_str().unwrap());
    for (args, message) in [
        (vec!["--drain-timeout", "soon"], "must be a number of seconds such as 10 or 0.5"),
        (vec!["--database-url-file", url], "DATABASE_URL is not a valid PostgreSQL url"),
        (vec!["--database-url-file", missing], &format!("cannot read {missing}: ")),
        (vec!["--database-url-file", url, "--database-url", "postgres://h/d"], "cannot be used with"),
        (vec!["--listen", "0.0.0.0:0", "--insecure"], "no access option is set"),
        (vec!["--otlp-sample", "2"], "must be a number from 0 to 1 such as 0.01"),
        (vec!["--listen", "0.0.0.0:0"], "would send tokens and records in plaintext"),
        (vec!["--listen", "0.0.0.0:0", "--insecure"], "no access option is set"),
        (vec!["--tls-cert", missing], "needs its key: give --tls-key too"),
        (vec!["--tls-cert", missing, "--tls-key", missing], &format!("cannot read {missing}: ")),
        (
            vec!["--jwt-issuer", "a", "--jwt-audience", "a", "--jwt-jwks", missing],
            &format!("the keys of JWTs cannot be read from {missing}"),
        ),
        (
            vec!["--jwt-issuer", "a", "--jwt-audience", "a", "--jwt-jwks", url],
            "the keys of JWTs are not a JSON Web Key Set",
        ),
        (vec!["--require-evidence", "date,plaxe"], "is not a field of Account: \"plaxe\"; did you mean \"place\"?"),
        (vec!["--require-evidence", "date", "--require-evidence-mode", "try"], "[possible values: enforce, warn]"),
        (vec!["--log", "readout=loud"], "--log \"readout=loud\" is not a filter: "),
    ] {
        let config = run(["config"].iter().chain(&args)).await;
        assert_eq!((config.code, config.stdout.as_str()), (Some(2), ""), "{args:?}: {config:?}");
        assert!(config.stderr.contains(message), "{args:?}: {config:?}");
        let serve = run(["serve"].iter().chain(&args)).await;
        assert!(serve.code == Some(1) || serve.code == Some(2), "{args:?}: {serve:?}");
        assert!(serve.stderr.contains(message), "{args:?}: {serve:?}");
        assert!(!(config.stderr + &serve.stderr).contains("s3cret"));
    }
}

#[cfg(not(feature = "otlp"))]
#[tokio::test]
async fn a_build_without_traces_refuses_a_collector() {
    let refused = run(["serve", "--otlp-endpoint", "http://127.0.0.1:4317"]).await;
    assert_eq!(refused.code, Some(2));
    let message = "this readout was built without traces: build it with --features otlp";
    assert!(refused.stderr.contains(message), "{refused:?}");
}

#[tokio::test]
async fn a_service_reads_its_database_url_from_a_file() {
    let dir = DataDir::new();
    let url = sqlx::ConnectOptions::to_url_lossy(&cluster::database().await).to_string();
    let file = dir.path().join("url");
    fs::write(&file, format!("{url}\n")).unwrap();
    let service = Program::start(&dir, &["--database-url-file", file.to_str().unwrap()]);
    service.address().await;
    service.stop().await;
    assert!(!dir.path().join("postgres").exists());
}

#[tokio::test]
async fn help_does_not_print_values_of_the_environment() {
    let help = run(["serve", "--help"]).await.stdout;
    assert!(help.contains("[env: DATABASE_URL]"), "{help}");
    assert!(help.contains("[env: READOUT_OPERATIONS_LISTEN=]"), "{help}");
}
