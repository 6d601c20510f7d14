//! Parses the command line. Error messages must not repeat a secret.

use std::process;

use clap::{ArgMatches, CommandFactory, error::ContextValue};

use super::Args;
use crate::url_redaction;

impl Args {
    /// Parses the arguments and the environment of this process. Exits if they are wrong, or ask for help.
    pub fn matches() -> ArgMatches {
        Self::command().try_get_matches().unwrap_or_else(|error| match without_secrets(&error) {
            Some(text) => {
                eprint!("{text}");
                process::exit(error.exit_code())
            }
            None => error.exit(),
        })
    }
}

/// Returns the text of an error with redacted URLs; `None` if the error repeats no URL.
fn without_secrets(error: &clap::Error) -> Option<String> {
    let values = error.context().flat_map(|(_, value)| match value {
        ContextValue::String(text) => vec![text.as_str()],
        ContextValue::Strings(texts) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    });
    let urls: Vec<&str> = values.filter(|text| text.contains("://")).collect();
    // Whole values are replaced first: a value may contain spaces. Then `url_redaction::text` covers parsers that repeat
    // only a part of a value.
    let text = || urls.iter().fold(error.render().to_string(), |text, url| text.replace(url, &url_redaction::url(url)));
    (!urls.is_empty()).then(|| url_redaction::text(&text()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn error_hides_secrets_of_urls() {
        for line in [
            &["serve", "--jwt-jwks", "https://desk:s3cret@issuer.example/keys"][..],
            &["serve", "--jwt-jwks", "http://issuer.example/keys?token=s3cret"],
            &["serve", "--jwt-jwks=https://desk:s3 cret@issuer.example/keys"],
            &["serve", "--otlp-endpoint", "http://desk:s3cret@127.0.0.1:4317"],
            &["serve", "--listen", "http://desk:s3cret@127.0.0.1:4317"],
            &["serve", "postgres://desk:s3cret@db/readout"],
            &["serve", "--database_url=postgres://desk:s3cret@db/readout"],
            &["serve", "--database_url", "postgres://desk:s3cret@db/readout"],
            &["postgres://desk:s3cret@db/readout"],
            &["token", "create", "https://desk:s3cret@db/readout", "--role", "https://desk:s3cret@db"],
        ] {
            let error = Args::try_parse_from([&["readout"], line].concat()).expect_err("is wrong");
            let text = without_secrets(&error).unwrap_or_else(|| error.render().to_string());
            assert!(!text.contains("s3c") && !text.contains("cret"), "{line:?}: {text}");
        }
    }
}
