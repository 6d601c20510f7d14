//! Tests of accepted URLs, and of the errors of refused ones.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    DatabaseUrl::parse(text).and_then(|url| url.target().map(|_| ())).expect_err(text).to_string()
}

fn tcp(host: &str, port: Option<u16>) -> Host {
    Host { address: Some(ServerAddress::Tcp(host.to_owned())), port }
}

fn socket(directory: &str, port: Option<u16>) -> Host {
    Host { address: Some(ServerAddress::Socket(directory.into())), port }
}

/// Returns user, password and database.
fn account(url: &DatabaseUrl) -> (Option<&str>, Option<&str>, Option<&str>) {
    (url.user.as_deref(), url.password.as_ref().map(Secret::expose), url.database.as_deref())
}

#[test]
fn parser_reads_each_part() {
    let url = read("postgres://desk:s3cret@db.example:6432/readout?application_name=a%20b&statement-cache-capacity=0");
    assert_eq!(url.hosts, [tcp("db.example", Some(6432))]);
    assert_eq!(account(&url), (Some("desk"), Some("s3cret"), Some("readout")));
    assert_eq!((url.application_name.as_deref(), url.statement_cache_capacity), (Some("a b"), Some(0)));
    for text in ["postgresql://h/d", "POSTGRES://h/d", " postgres://h/d\n", "postgres://h/d?", "postgres://h/d?&"] {
        assert_eq!(
            read(text),
            DatabaseUrl { hosts: vec![tcp("h", None)], database: Some("d".into()), ..Default::default() }
        );
    }
}

#[test]
fn parser_decodes_percent_encoded_parts() {
    let url = read("postgres://d%40sk:%2F%3f%23%25%3A%40%20@h/%C3%A9%2Fx?password=%26%3D");
    assert_eq!(account(&url), (Some("d@sk"), Some("&="), Some("é/x")));
    let url = read("postgres://desk:a:b@c+d@h/x?application_name=a+b");
    assert_eq!(account(&url).1, Some("a:b@c+d"));
    assert_eq!(url.application_name.as_deref(), Some("a+b"));
}

#[test]
fn parser_accepts_names_addresses_and_sockets_as_hosts() {
    for (text, hosts) in [
        ("postgres://[::1]/d", vec![tcp("::1", None)]),
        ("postgres://u:p@[2001:db8::1]:6432/d", vec![tcp("2001:db8::1", Some(6432))]),
        ("postgres://[fe80::1%25eth0]/d", vec![tcp("fe80::1%eth0", None)]),
        ("postgres://192.0.2.1:1/d", vec![tcp("192.0.2.1", Some(1))]),
        ("postgres://db_1-a.b/d", vec![tcp("db_1-a.b", None)]),
        ("postgres://%2Fvar%2Frun%2Fpostgresql/d", vec![socket("/var/run/postgresql", None)]),
        ("postgres://u@%2Ftmp:5433/d", vec![socket("/tmp", Some(5433))]),
        ("postgres:///d?host=/var/run", vec![socket("/var/run", None)]),
        ("postgres:///d?host=%2Fvar%2Frun&port=5433", vec![socket("/var/run", Some(5433))]),
        ("postgres://localhost:1/d?host=/cloudsql/a:b:c", vec![socket("/cloudsql/a:b:c", Some(1))]),
        ("postgres://localhost/d?host=db&port=2", vec![tcp("db", Some(2))]),
        ("postgres:///d?host=::1", vec![tcp("::1", None)]),
        ("postgres://db/d?hostaddr=192.0.2.1", vec![tcp("192.0.2.1", None)]),
        ("postgres://:5433/d", vec![Host { address: None, port: Some(5433) }]),
        ("postgres:///d?port=5433", vec![Host { address: None, port: Some(5433) }]),
        ("postgres://h:/d", vec![tcp("h", None)]),
        ("postgres://a:1,b:2,[::1]/d", vec![tcp("a", Some(1)), tcp("b", Some(2)), tcp("::1", None)]),
        ("postgres:///d?host=a,/b&port=1,2", vec![tcp("a", Some(1)), socket("/b", Some(2))]),
        ("postgres:///d?host=a,b&port=3", vec![tcp("a", Some(3)), tcp("b", Some(3))]),
        ("postgres:///d", vec![]),
    ] {
        assert_eq!(read(text).hosts, hosts, "{text}");
    }
}

#[test]
fn parser_accepts_the_url_of_the_embedded_database() {
    let url = read("postgresql:///readout?user=readout&host=/home/a%20b/.local/share/readout/run");
    assert_eq!(url.hosts, [socket("/home/a b/.local/share/readout/run", None)]);
    assert_eq!(account(&url), (Some("readout"), None, Some("readout")));
    let options = url.target().unwrap().options;
    assert_eq!(options.get_socket().unwrap().to_str(), Some("/home/a b/.local/share/readout/run"));
}

#[test]
fn target_has_the_options_of_the_url() {
    let options = |text: &str| read(text).target().unwrap_or_else(|error| panic!("{text}: {error}")).options;
    let whole =
        options("postgres://desk:s3cret@[::1]:6432/readout?sslmode=require&application_name=a&options=-c%20geqo%3Doff");
    assert_eq!((whole.get_host(), whole.get_port(), whole.get_username()), ("::1", 6432, "desk"));
    assert_eq!((whole.get_database(), whole.get_application_name()), (Some("readout"), Some("a")));
    assert_eq!(whole.get_options(), Some("-c geqo=off"));
    assert!(matches!(whole.get_ssl_mode(), PgSslMode::Require));
    for (text, mode) in [
        ("sslmode=disable", "Disable"),
        ("sslmode=allow", "Prefer"),
        ("ssl-mode=VERIFY-FULL", "VerifyFull"),
        ("sslmode=require&sslrootcert=/ca.pem", "VerifyCa"),
        ("sslmode=verify-full&ssl-ca=/ca.pem", "VerifyFull"),
        ("ssl=true", "Require"),
    ] {
        let options = options(&format!("postgres://h/d?{text}"));
        assert_eq!(format!("{:?}", options.get_ssl_mode()), mode, "{text}");
    }
    let settings = read("postgres://h/d?options=-csearch_path%3Da%5C%20b&options[work_mem]=1MB").options;
    assert_eq!(settings, [("search_path".into(), "a b".into()), ("work_mem".into(), "1MB".into())]);
    assert_eq!(read("postgres://h/d?fallback_application_name=b").application_name.as_deref(), Some("b"));
    let both = read("postgres://h/d?fallback_application_name=b&application_name=a");
    assert_eq!(both.application_name.as_deref(), Some("a"));
    for (text, limit) in [("10", Some(10)), ("0", None), ("-1", None), ("", None)] {
        let url = read(&format!("postgres://h/d?connect_timeout={text}"));
        assert_eq!(url.connect_timeout, limit.map(Duration::from_secs), "{text}");
    }
    let identity = read("postgres://h/d?sslcert=/c&sslkey=/k").tls.identity;
    assert_eq!(identity, Some(("/c".into(), "/k".into())));
}

#[test]
fn parser_accepts_parameters_without_effect() {
    for parameter in [
        "client_encoding=UTF8",
        "target_session_attrs=any",
        "channel_binding=prefer",
        "gssencmode=disable",
        "sslnegotiation=postgres",
        "sslcompression=0",
        "ssl_min_protocol_version=TLSv1.2",
        "replication=false",
        "keepalives=0",
        "requirepeer=",
        "passfile=/etc/readout/pgpass",
    ] {
        read(&format!("postgres://h/d?{parameter}"));
    }
}

#[test]
fn error_names_the_remedy_and_hides_the_password() {
    for (text, expected) in [
        ("", "it is empty; write postgres://user:password@host:port/name"),
        ("  \n", "it is empty; write"),
        (
            "mysql://u:s3cret@h/d",
            "the scheme is \"mysql\", and readout needs PostgreSQL; write postgres://user:password@host",
        ),
        ("jdbc:postgresql://h/d", "the scheme is \"jdbc:postgresql\""),
        ("postgress://h/d", "the scheme is \"postgress\""),
        ("h/d", "it has no scheme; write postgres://"),
        ("s3cret", "it has no scheme; write postgres://"),
        ("//h/d", "it has no scheme"),
        ("postgres:h/d", "the scheme is not followed by //"),
        ("host=h dbname=d password=s3cret", "it is a list of key=value; write postgres://"),
        ("postgres://h", "it names no database"),
        ("postgres://h/", "it names no database"),
        ("postgres://h/?dbname=", "it names no database"),
        ("postgres://h/a/b", "the name of the database has a /; write %2F"),
        ("postgres://h/d/", "the name of the database has a /"),
        ("postgres://h:0/d", "a port must be a number from 1 to 65535"),
        ("postgres://h:65536/d", "a port must be"),
        ("postgres://h:+1/d", "a port must be"),
        ("postgres://h:5432x/d", "a port must be"),
        ("postgres://h/d?port=99999", "a port must be"),
        ("postgres://::1/d", "an IPv6 address must be in brackets"),
        ("postgres://[::1/d", "an IPv6 address must be in brackets"),
        ("postgres://[h]/d", "an IPv6 address must be in brackets"),
        ("postgres://[::1]5432/d", "a host must be"),
        ("postgres://a b/d", "a host must be"),
        ("postgres://a%2Fb/d", "a host must be"),
        ("postgres://u:p%zz@h/d", "the password has a % without two hexadecimal digits after it; write %25"),
        ("postgres://u:100%@h/d", "the password has a %"),
        ("postgres://u%ff@h/d", "the user is not UTF-8"),
        ("postgres://h/d%00", "the name of the database has the character U+0000"),
        ("postgres://u:s3/cret@h/d", "is not percent-encoded: write %23 for #"),
        ("postgres://u:s3?cret@h/d", "is not percent-encoded"),
        ("postgres://u:s3?c=ret@h/d", "is not percent-encoded"),
        ("postgres://u:s3#cret@h/d", "is not percent-encoded"),
        ("postgres://a,b/d", "it names 2 hosts, and readout connects to one"),
        ("postgres://h/d?host=a,b,c", "it names 3 hosts"),
        ("postgres://a,b/d?port=1,2,3", "there are 2 hosts and 3 ports"),
        ("postgres://h/d?sslmod=require", "there is no parameter \"sslmod\"; did you mean \"sslmode\"?"),
        ("postgres://h/d?SSLMode=require", "there is no parameter \"SSLMode\"; did you mean \"sslmode\"?"),
        (
            "postgres://h/d?aplication_name=s3cret",
            "there is no parameter \"aplication_name\"; did you mean \"application_name\"?",
        ),
        ("postgres://h/d?schema=s3cret", "there is no parameter \"schema\""),
        ("postgres://h/d?pasword=s3c@ret", "there is no parameter of that name; did you mean \"password\"?"),
        ("postgres://h/d?options[a;b]=c", "the parameter options must be settings"),
        ("postgres://h/d?hostaddr=db", "the parameter hostaddr must be an IPv4 or IPv6 address"),
        ("postgres://h/d?hostaddr=::1&sslmode=verify-full", "the parameter hostaddr cannot be honoured"),
        ("postgres://h/d?sslmode", "a parameter has no =; write name=value"),
        ("postgres://h/d?user=a&user=b", "the parameter user is given twice"),
        ("postgres://h/d?sslmode=require&ssl-mode=require", "the parameter sslmode is given twice"),
        (
            "postgres://h/d?sslmode=requir",
            "the parameter sslmode must be one of disable, allow, prefer, require, verify-ca and verify-full; did you mean \"require\"?",
        ),
        ("postgres://h/d?ssl=1", "the parameter ssl must be true"),
        ("postgres://h/d?sslcert=/c", "sslcert and sslkey must be given together"),
        ("postgres://h/d?sslrootcert=system", "the parameter sslrootcert cannot be honoured: instead of \"system\""),
        ("postgres://h/d?connect_timeout=soon", "the parameter connect_timeout must be a whole number of seconds"),
        ("postgres://h/d?statement-cache-capacity=-1", "the parameter statement-cache-capacity must be a whole number"),
        ("postgres://h/d?options=geqo%3Doff", "the parameter options must be settings, each as -c name=value"),
        (
            "postgres://h/d?target_session_attrs=read-write",
            "the parameter target_session_attrs cannot be honoured: leave it out, and name",
        ),
        ("postgres://h/d?service=s3cret", "the parameter service cannot be honoured: leave it out, and write host"),
        ("postgres://h/d?sslpassword=s3cret", "the parameter sslpassword cannot be honoured"),
        ("postgres://h/d?channel_binding=require", "the parameter channel_binding cannot be honoured"),
        ("postgres://h/d?keepalives_idle=30", "the parameter keepalives_idle cannot be honoured"),
        ("postgres://h/d?client_encoding=latin1", "the parameter client_encoding cannot be honoured"),
    ] {
        let message = refused(text);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(!message.contains("s3c"), "{text}: {message}");
    }
}

#[test]
fn debug_output_hides_the_password() {
    let url = read("postgres://desk:s3cret@h/d?sslmode=disable");
    assert!(!format!("{url:?} {:?}", url.target()).contains("s3cret"));
}

const PARTS: &str = "[a-z0-9:/?#@%&=,\\[\\]+ é-]{0,12}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parser_inverts_percent_encoding_of_the_account(user in "\\PC{1,12}", password in "\\PC{1,12}", database in "\\PC{1,12}") {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let text = format!("postgres://{}:{}@h:1/{}", encode(&user), encode(&password), encode(&database));
        let url = read(&text);
        prop_assert_eq!(account(&url), (Some(&*user), Some(&*password), Some(&*database)));
        prop_assert_eq!(url.hosts, [tcp("h", Some(1))]);
    }

    /// An error may repeat the name of a parameter, but no piece of the password, even if the password is not encoded.
    #[test]
    fn error_has_no_piece_of_the_password(before in PARTS, after in PARTS, end in "[a-z=&?/]{0,8}") {
        let text = format!("postgres://desk:{before}QQQ{after}@db/readout{end}");
        if let Err(error) = DatabaseUrl::parse(&text) {
            prop_assert!(!error.to_string().contains("QQQ"), "{}: {}", text, error);
        }
    }

    #[test]
    fn parser_does_not_panic(text in "(postgres(ql)?://)?\\PC{0,40}", scheme in "[a-z]{0,9}") {
        let _ = DatabaseUrl::parse(&text).and_then(|url| url.target().map(|_| ()));
        let _ = DatabaseUrl::parse(&format!("{scheme}://{text}"));
    }
}
