//! A minimal HTTP/1.1 client and a parser of the Prometheus text format.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::data_dir::within_timeout;

/// A response; `head` is in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")).await
}

/// Sends the bytes of a request, and reads until the connection is closed.
pub async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("the port listens");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut text = String::new();
    within_timeout("the connection is closed", stream.read_to_string(&mut text)).await.expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Metrics in the text format.
pub struct Scraped(pub String);

impl Scraped {
    /// The value of a series such as `name{label="value"}`, with its labels in any order; `None` if it does not exist.
    pub fn value(&self, series: &str) -> Option<f64> {
        let key = parts(series);
        let mut lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.find_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            if parts(series) == key { value.parse().ok() } else { None }
        })
    }

    /// True if the metric has a series; for a histogram, its count.
    pub fn has(&self, name: &str) -> bool {
        let count = format!("{name}_count");
        let mut series = self.0.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        series.any(|(series, _)| [name, &count].contains(&parts(series)[0]))
    }
}

/// The name, then the labels in sorted order.
fn parts(series: &str) -> Vec<&str> {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
    labels.sort_unstable();
    labels.insert(0, name);
    labels
}
