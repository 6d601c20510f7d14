//! Removes secrets from URLs. This file alone decides which parts of a URL appear in logs, in errors and in the printed
//! configuration.

/// Parameters of a database URL that hold no secret.
const PUBLIC_PARAMETERS: [&str; 8] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "sslmode",
    "statement-cache-capacity",
];

/// Replaces the account, the parameters and the fragment of a URL with `***`: each may be a secret. A database URL
/// keeps its user and its public parameters. A text that is not a URL is returned unchanged.
pub fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let is_database = ["postgres", "postgresql"].iter().any(|known| known.eq_ignore_ascii_case(scheme.trim_ascii()));
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    // A password that is not percent-encoded may contain a character that ends the authority.
    if [Some(path), query, fragment].into_iter().flatten().any(|part| part.contains('@')) {
        return "***".to_owned();
    }
    let account = authority.rsplit_once('@').map_or_else(String::new, |(account, _)| match account.split_once(':') {
        Some((user, _)) if is_database => format!("{user}:***@"),
        None if is_database => format!("{account}@"),
        _ => "***@".to_owned(),
    });
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = query.map_or_else(String::new, |query| match is_database {
        true => format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")),
        false => "?***".to_owned(),
    });
    format!("{scheme}://{account}{host}{path}{query}{}", fragment.map_or("", |_| "#***"))
}

/// Redacts each URL in a text as [`url`] does. A URL ends at white space, a quote or a bracket.
pub fn text(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || "'\"`<>(){}".contains(c);
    text.split_inclusive(is_end)
        .map(|word| {
            let whole = word.trim_end_matches(is_end);
            url(whole) + &word[whole.len()..]
        })
        .collect()
}

fn parameter(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if PUBLIC_PARAMETERS.contains(&name) => pair.to_owned(),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_hides_secrets() {
        for (text, shown) in [
            ("https://issuer.example/keys", "https://issuer.example/keys"),
            ("https://issuer.example/keys?token=s3cret", "https://issuer.example/keys?***"),
            ("https://issuer.example?s3cret", "https://issuer.example?***"),
            ("https://desk:s3cret@issuer.example:1/keys", "https://***@issuer.example:1/keys"),
            ("https://s3cret@issuer.example/keys#s3cret", "https://***@issuer.example/keys#***"),
            ("https://desk:s3/cret@issuer.example", "***"),
            ("https://desk:s3?cret@issuer.example", "***"),
            ("https://desk:s3#cret@issuer.example", "***"),
            ("https://desk:s3 cret@issuer.example", "https://***@issuer.example"),
            ("http://[::1]:4317", "http://[::1]:4317"),
            ("spiffe://a/b", "spiffe://a/b"),
            ("postgres://readout:s3cret@db:5432/readout", "postgres://readout:***@db:5432/readout"),
            ("postgres://readout@db/readout", "postgres://readout@db/readout"),
            ("postgres://db/readout?user=u&password=s3cret", "postgres://db/readout?user=***&password=***"),
            ("postgres://db/readout?sslmode=require", "postgres://db/readout?sslmode=require"),
            ("postgres://u:s3c@ret@db/readout", "postgres://u:***@db/readout"),
            ("postgres://u:s3/c@ret@db/readout", "***"),
            ("postgres://u:s3c?ret@db/readout", "***"),
            ("PostgreSQL://u:s3cret@db/readout#s3cret", "PostgreSQL://u:***@db/readout#***"),
            ("mysql://u:s3cret@db/readout", "mysql://***@db/readout"),
            ("/etc/readout/jwks.json", "/etc/readout/jwks.json"),
        ] {
            assert_eq!(url(text), shown);
        }
    }

    #[test]
    fn text_hides_secrets_of_urls() {
        for (original, shown) in [
            ("no 'https://u:s3cret@h/?s3cret' here\n", "no 'https://***@h/?***' here\n"),
            ("`http://u:s3cret@h`, (http://h/#s3cret)  ", "`http://***@h`, (http://h/#***)  "),
            ("neither\t one", "neither\t one"),
            ("", ""),
        ] {
            assert_eq!(text(original), shown);
        }
    }
}
