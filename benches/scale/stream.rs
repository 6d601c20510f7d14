//! StreamMeetings beside what the database itself takes to send the same records, and what the service keeps of them.

use std::{fs, time::Instant};

use futures_util::TryStreamExt;
use serde_json::json;
use sqlx::PgConnection;
use tonic::transport::Channel;

use super::{question::ask, times::median};

const ROUNDS: usize = 3;
const COPY: &str = "copy (select doc from meeting where listed) to stdout";

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Streamed {
    /// Meetings a second through the service.
    pub sent: f64,
    /// And from the database alone.
    pub copied: f64,
    /// The first divided by the second, in the same round.
    pub ratio: f64,
    /// MiB of memory that the service had before the first stream.
    pub memory: f64,
    /// And the most that it had.
    pub peak: f64,
}

/// Reads all meetings in both ways, by turns.
pub async fn measure(to: &Channel, service: u32, connection: &mut PgConnection) -> Streamed {
    let memory = memory(service, "VmRSS");
    // Forgets the peak that it had so far: proc_pid_clear_refs(5).
    fs::write(format!("/proc/{service}/clear_refs"), "5").expect("ours");
    let all = ask("MeetingService/StreamMeetings", json!({"pageSize": 1_000}));
    let (mut sent, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let count = copy(connection).await;
        copied.push(count as f64 / begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        assert_eq!(all.count_streamed(to).await.expect("it goes on"), count, "each is sent once");
        sent.push(count as f64 / begin.elapsed().as_secs_f64());
    }
    let ratio = median(sent.iter().zip(&copied).map(|(sent, copied)| sent / copied).collect());
    let peak = self::memory(service, "VmHWM");
    Streamed { sent: median(sent), copied: median(copied), ratio, memory, peak }
}

/// A line each.
async fn copy(connection: &mut PgConnection) -> usize {
    let mut rows = connection.copy_out_raw(COPY).await.expect("copied");
    let mut count = 0;
    while let Some(bytes) = rows.try_next().await.expect("it goes on") {
        count += bytes.iter().filter(|byte| **byte == b'\n').count();
    }
    count
}

/// MiB: see proc_pid_status(5).
fn memory(process: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let value = status.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':')).expect("Linux tells");
    value.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
