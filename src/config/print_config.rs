//! Prints the effective configuration of a service, for `readout config`. The list of settings is derived from the
//! command line's definition: there is no second list.

use std::fmt::Write;

use clap::{Arg, ArgMatches, CommandFactory, parser::ValueSource};

use super::{Args, secret};
use crate::url_redaction;

/// The sources of settings, in the order in which they are printed.
const SOURCES: [(Option<ValueSource>, &str); 4] = [
    (Some(ValueSource::CommandLine), "from the command line"),
    (Some(ValueSource::EnvVariable), "from the environment"),
    (Some(ValueSource::DefaultValue), "by default"),
    (None, "not set"),
];

/// Formats the settings as lines of an environment file, in sections by their source. Secrets are redacted.
pub fn settings(matches: &ArgMatches) -> String {
    let Some((name, given)) = matches.subcommand() else { return String::new() };
    let whole = Args::command();
    let of_command = whole.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let args: Vec<&Arg> = of_command.chain(whole.get_arguments()).filter(|arg| arg.get_env().is_some()).collect();
    let mut text = String::new();
    for (source, title) in SOURCES {
        let of_source: Vec<&&Arg> =
            args.iter().filter(|arg| given.value_source(arg.get_id().as_str()) == source).collect();
        if of_source.is_empty() {
            continue;
        }
        let _ = writeln!(text, "# {title}");
        for arg in of_source {
            text.push_str(&line(arg, given));
        }
    }
    text
}

fn line(arg: &Arg, given: &ArgMatches) -> String {
    let name = arg.get_env().unwrap_or_default().to_string_lossy();
    let Some(values) = given.get_raw(arg.get_id().as_str()) else { return format!("#{name}=\n") };
    let shown = values.map(|value| match arg.is_hide_env_values_set() {
        true => secret::redacted(&value.to_string_lossy()),
        false => url_redaction::url(&value.to_string_lossy()),
    });
    format!("{name}={}\n", shown.collect::<Vec<_>>().join(&separator(arg)))
}

fn separator(arg: &Arg) -> String {
    arg.get_value_delimiter().unwrap_or(',').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> String {
        let matches = Args::command().try_get_matches_from([&["readout", "config"], args].concat());
        settings(&matches.expect("is well formed"))
    }

    /// A flag without an environment variable could neither be printed nor be set in a container.
    #[test]
    fn output_has_every_flag_of_serve_once() {
        let command = Args::command();
        let serve = command.find_subcommand("serve").expect("is there");
        let shown = shown(&[]);
        let flags = serve.get_arguments().chain(command.get_arguments());
        for flag in flags.filter(|flag| !["help", "version"].contains(&flag.get_id().as_str())) {
            let name = flag.get_env().unwrap_or_else(|| panic!("{flag} has no environment variable"));
            let name = format!("{}=", name.to_str().unwrap());
            assert_eq!(
                shown.lines().filter(|line| line.trim_start_matches('#').starts_with(&name)).count(),
                1,
                "{name}"
            );
        }
    }

    #[test]
    fn flags_of_secrets_hide_their_values() {
        let command = Args::command();
        for name in ["serve", "migrate", "import"] {
            for flag in command.find_subcommand(name).expect("is there").get_arguments() {
                let is_secret =
                    ["token", "password", "secret", "database-url"].contains(&flag.get_long().unwrap_or(""));
                assert!(!is_secret || flag.is_hide_env_values_set(), "{name} {flag}");
            }
        }
    }

    #[test]
    fn output_hides_secrets_of_urls() {
        let jwt =
            ["--jwt-issuer", "https://a/?t=s3cret", "--jwt-audience", "readout", "--jwt-jwks", "https://a/k?t=s3cret"];
        let shown = shown(&jwt);
        assert!(shown.contains("\nREADOUT_JWT_JWKS=https://a/k?***\n"), "{shown}");
        assert!(shown.contains("\nREADOUT_JWT_ISSUER=https://a/?***\n"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn output_groups_settings_by_source() {
        let shown = shown(&["--log", "debug", "--database-url", "postgres://readout:s3cret@db/readout"]);
        let (given, rest) = shown.split_once("# by default\n").expect("there are defaults");
        assert!(given.starts_with("# from the command line\n"), "{shown}");
        assert!(given.contains("\nDATABASE_URL=postgres://readout:***@db/readout\n"), "{shown}");
        assert!(given.contains("\nREADOUT_LOG=debug\n"), "{shown}");
        assert!(rest.contains("\nREADOUT_DRAIN_TIMEOUT=10\n"), "{shown}");
        assert!(rest.split_once("# not set\n").expect("some").1.contains("#READOUT_POSTGRES_BIN=\n"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
