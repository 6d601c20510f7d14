//! The plans of what the service really asks, as the server logs them when it is told to (auto_explain, whose JSON has
//! one line for each value).

use std::{fs, path::PathBuf, time::Duration};

use sqlx::PgConnection;
use tonic::transport::Channel;

use super::{
    cluster::{directory, execute},
    question::Question,
};

/// What the service asks at any time: the feed, and its chores.
const CHORES: [&str; 5] = ["change", "feed", "reindex", "request", "unsettled"];
/// Connections hear of a setting some time.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The indexes by which a question was answered, and the tables that were read as a whole instead.
pub async fn indexes(question: &Question, to: &Channel, connection: &mut PgConnection) -> Vec<String> {
    let before = log().await.len();
    set_logged(connection, true).await;
    let mut indexes = Vec::new();
    for _ in 0..TRIES {
        // One that fails has a plan all the same.
        let _ = question.count(to).await;
        indexes = read(&log().await[before..]);
        if !indexes.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    set_logged(connection, false).await;
    indexes
}

async fn set_logged(connection: &mut PgConnection, is_logged: bool) {
    let least = if is_logged { 0 } else { -1 };
    execute(connection, &format!("alter system set auto_explain.log_min_duration = {least}")).await;
    execute(connection, "select pg_reload_conf()").await;
}

async fn log() -> String {
    let path: PathBuf = directory().await.path().join("postgres.log");
    fs::read_to_string(path).expect("the server's log")
}

fn read(log: &str) -> Vec<String> {
    let (mut found, mut is_scan): (Vec<String>, bool) = (Vec::new(), false);
    for line in log.lines() {
        let Some((name, value)) = line.trim().split_once(": ") else { continue };
        let value = value.trim_matches(['"', ',']);
        let one = match name {
            "\"Node Type\"" => {
                is_scan = value == "Seq Scan";
                continue;
            }
            "\"Index Name\"" => value.to_owned(),
            "\"Relation Name\"" if is_scan => format!("whole {value}"),
            _ => continue,
        };
        let is_chore = CHORES.iter().any(|chore| value.starts_with(chore));
        if !is_chore && !found.contains(&one) {
            found.push(one);
        }
    }
    found
}
