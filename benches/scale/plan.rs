//! The plans of the queries that the service sends, as the server logs them with auto_explain. Its JSON has one value
//! per line.

use std::{fs, path::PathBuf, time::Duration};

use sqlx::PgConnection;
use tonic::transport::Channel;

use super::{
    cluster::{directory, execute},
    query::Query,
};

/// Tables that the service reads at any time, for the feed and for maintenance.
const BACKGROUND: [&str; 5] = ["change", "feed", "reindex", "request", "unsettled"];
/// Sessions apply a changed setting with a delay.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The indexes that a query uses, and the tables that it scans.
pub async fn indexes(query: &Query, channel: &Channel, connection: &mut PgConnection) -> Vec<String> {
    let before = log().await.len();
    set_logged(connection, true).await;
    let mut indexes = Vec::new();
    for _ in 0..TRIES {
        // A query that fails is logged with its plan too.
        let _ = query.count(channel).await;
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
        let name = match name {
            "\"Node Type\"" => {
                is_scan = value == "Seq Scan";
                continue;
            }
            "\"Index Name\"" => value.to_owned(),
            "\"Relation Name\"" if is_scan => format!("whole {value}"),
            _ => continue,
        };
        let is_background = BACKGROUND.iter().any(|table| value.starts_with(table));
        if !is_background && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
