//! The options of metrics, health endpoints and traces.

use std::net::SocketAddr;

use super::address::listen_address;

/// Metrics, health endpoints and traces.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Operations")]
pub struct Operations {
    /// Address and port of /metrics, /livez and /readyz over plain HTTP, off loopback only with --insecure; default: not
    /// served
    #[arg(long, env = "READOUT_OPERATIONS_LISTEN", value_name = "ADDR", value_parser = listen_address)]
    pub operations_listen: Option<SocketAddr>,
    /// Address of an OTLP collector (gRPC) for traces, such as http://127.0.0.1:4317; default: no traces
    #[arg(long, env = "READOUT_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// Ratio of calls that are traced, from 0 to 1; the traceparent of a caller takes precedence
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
    fn ratio_accepts_numbers_from_0_to_1() {
        assert_eq!((ratio("0"), ratio("0.25"), ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for wrong in ["-0.1", "1.01", "NaN", "all", ""] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn collector_is_accepted_only_with_the_feature_otlp() {
        assert_eq!(collector("http://127.0.0.1:4317").is_ok(), cfg!(feature = "otlp"));
        for wrong in ["127.0.0.1:4317", "ftp://127.0.0.1", "http://user:s3cret@127.0.0.1", "http://"] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
    }
}
