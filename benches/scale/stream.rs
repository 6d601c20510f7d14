//! StreamMeetings compared with a copy from the database alone, and the memory that the service uses for it.

use std::{fs, time::Instant};

use futures_util::TryStreamExt;
use serde_json::json;
use sqlx::PgConnection;
use tonic::transport::Channel;

use super::{latency::median, query::Query};

const ROUNDS: usize = 3;
const COPY: &str = "copy (select doc from meeting where listed) to stdout";

/// The measurements.
#[derive(Debug, Clone, Copy)]
pub struct Streamed {
    /// Meetings per second through the service.
    pub sent: f64,
    /// Meetings per second from the database alone.
    pub copied: f64,
    /// The median of `sent` divided by `copied`, each within a round.
    pub ratio: f64,
    /// Memory of the service before the first stream, in MiB.
    pub memory: f64,
    /// Peak memory of the service, in MiB.
    pub peak: f64,
}

/// Reads all meetings in both ways, in alternating rounds.
pub async fn measure(channel: &Channel, service: u32, connection: &mut PgConnection) -> Streamed {
    let memory = memory(service, "VmRSS");
    // Resets the peak: proc_pid_clear_refs(5).
    fs::write(format!("/proc/{service}/clear_refs"), "5").expect("a process of this run");
    let all = Query::new("MeetingService/StreamMeetings", json!({"pageSize": 1_000}));
    let (mut sent, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let count = copy(connection).await;
        copied.push(count as f64 / begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        assert_eq!(
            all.count_streamed(channel).await.expect("the stream continues"),
            count,
            "each meeting is sent once"
        );
        sent.push(count as f64 / begin.elapsed().as_secs_f64());
    }
    let ratio = median(sent.iter().zip(&copied).map(|(sent, copied)| sent / copied).collect());
    let peak = self::memory(service, "VmHWM");
    Streamed { sent: median(sent), copied: median(copied), ratio, memory, peak }
}

/// Copies all meetings, one per line, and counts them.
async fn copy(connection: &mut PgConnection) -> usize {
    let mut rows = connection.copy_out_raw(COPY).await.expect("copied");
    let mut count = 0;
    while let Some(bytes) = rows.try_next().await.expect("the copy continues") {
        count += bytes.iter().filter(|byte| **byte == b'\n').count();
    }
    count
}

/// A memory figure in MiB: see proc_pid_status(5).
fn memory(process: u32, figure: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let value = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).expect("a figure");
    value.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
