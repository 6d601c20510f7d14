//! What operators see of a service: its second port, and its traces.

use std::net::SocketAddr;

use super::address::listen_address;

/// What operators see of a service.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Operations")]
pub struct Operations {
    /// Address and port of /metrics, /livez and /readyz, over plain HTTP; default: none
    #[arg(long, env = "READOUT_OPERATIONS_LISTEN", value_name = "ADDR", value_parser = listen_address)]
    pub operations_listen: Option<SocketAddr>,
    /// A collector that takes traces over OTLP (gRPC), as http://127.0.0.1:4317; default: none
    #[arg(long, env = "READOUT_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// The part of the calls that is traced, where the caller's traceparent does not say: 0 to 1
    #[arg(long, env = "READOUT_OTLP_SAMPLE", default_value = "0.01", value_name = "RATIO", value_parser = ratio)]
    pub otlp_sample: f64,
}

impl Default for Operations {
    fn default() -> Self {
        Self { operations_listen: None, otlp_endpoint: None, otlp_sample: 0.01 }
    }
}

fn collector(url: &str) -> Result<String, String> {
    if !cfg!(feature = "otlp") {
        return Err("this readout was built without traces: build it with --features otlp".to_owned());
    }
    match url.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() && !rest.contains('@') => Ok(url.to_owned()),
        _ => Err("must be an address such as http://127.0.0.1:4317".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1 such as 0.01".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_from_0_to_1() {
        assert_eq!((ratio("0"), ratio("0.25"), ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for wrong in ["-0.1", "1.01", "NaN", "all", ""] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_collector_is_taken_where_there_are_traces() {
        assert_eq!(collector("http://127.0.0.1:4317").is_ok(), cfg!(feature = "otlp"));
        for wrong in ["127.0.0.1:4317", "ftp://127.0.0.1", "http://user:s3cret@127.0.0.1", "http://"] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
    }
}
