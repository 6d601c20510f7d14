//! Formats an error and its causes as one line, for standard error and the log.

use std::error::Error;

/// Returns the error and its causes, from the outermost to the innermost, as "outer: inner". A cause that the line
/// already contains is omitted: many libraries repeat their cause in their own text.
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    append(&mut line, error.source());
    line
}

/// Appends an error and its causes to a line that describes their effect.
pub fn append(line: &mut String, mut error: Option<&(dyn Error + 'static)>) {
    while let Some(cause) = error {
        let text = cause.to_string();
        // The line ends with the beginning of the cause: the cause replaces that part.
        let part_starts = std::iter::once(0).chain(line.match_indices(": ").map(|(index, _)| index + 2));
        let repeated_from = part_starts.into_iter().find(|start| text.starts_with(&line[*start..]));
        match repeated_from {
            Some(start) => line.replace_range(start.., &text),
            None if text.is_empty() || line.contains(&text) => {}
            None => {
                line.push_str(": ");
                line.push_str(&text);
            }
        }
        error = cause.source();
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};

    use super::*;

    fn refused() -> io::Error {
        io::Error::from(io::ErrorKind::ConnectionRefused)
    }

    #[test]
    fn line_puts_causes_after_their_error() {
        let error = Err::<(), _>(refused()).context("no connection").context("the service is away").unwrap_err();
        assert_eq!(in_one_line(error.as_ref()), "the service is away: no connection: connection refused");
    }

    #[test]
    fn line_has_a_cause_once_when_its_error_repeats_it() {
        let error = anyhow::Error::new(refused());
        for error in [
            error.context("tcp connect error: connection refused"),
            anyhow!(refused())
                .context("connection refused")
                .context("cannot connect: connection refused (os error 111)"),
            anyhow!("connection refused").context("connection refused").context("connection refused"),
        ] {
            let line = in_one_line(error.as_ref());
            assert_eq!(line.matches("connection refused").count(), 1, "{line}");
        }
    }

    #[test]
    fn cause_replaces_an_error_that_it_extends() {
        for outer in ["timed out", "no answer: timed out", "no answer: timed out after 10 s"] {
            let error = anyhow!("timed out after 10 s").context(outer).context("no answer");
            assert_eq!(in_one_line(error.as_ref()), "no answer: timed out after 10 s");
        }
    }
}
