//! A primary and its standby.

use std::ffi::OsStr;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    database_connection::socket,
    instances::{Fleet, Own},
    postgres_programs::run,
    proxy::Proxy,
};
use crate::support::{
    data_dir::{DataDir, eventually},
    stored_records::execute,
};

/// Waits until a query with this parameter returns 1.
async fn wait_for_one(database: &PgConnectOptions, query: &'static str, parameter: &str) {
    let mut connection = PgConnection::connect_with(database).await.expect("the database answers");
    eventually(query, async || {
        let count: i64 = sqlx::query_scalar(query).bind(parameter).fetch_one(&mut connection).await.expect("a row");
        count == 1
    })
    .await;
}

/// Starts a standby of a primary.
async fn standby_of(primary: &Own) -> Own {
    let dir = DataDir::new();
    let data = dir.path().join("postgres");
    let into = ["--checkpoint=fast", "--write-recovery-conf", "--pgdata"].map(OsStr::new);
    run("pg_basebackup", &primary.database(), into.into_iter().chain([data.as_ref()])).await;
    dir.give_to_owner_of(&primary.dir);
    Own::take(dir, &[]).await
}

/// A primary with a standby, and a proxy that leads to one of them.
pub struct Pair {
    pub primary: Own,
    pub standby: Own,
    proxy: Proxy,
}

impl Pair {
    /// Starts a pair. A synchronous standby has everything that was acknowledged.
    pub async fn start(is_synchronous: bool) -> Self {
        Self::with(Own::start(&[]).await, is_synchronous).await
    }

    /// Adds a standby to a primary.
    pub async fn with(primary: Own, is_synchronous: bool) -> Self {
        let proxy = Proxy::to(socket(&primary.database())).await;
        let standby = standby_of(&primary).await;
        let pair = Self { primary, standby, proxy };
        pair.set_synchronous(is_synchronous).await;
        pair
    }

    /// Makes commits wait for the standby, or not.
    pub async fn set_synchronous(&self, is_synchronous: bool) {
        let (set, state) = match is_synchronous {
            true => ("alter system set synchronous_standby_names = '*'", "sync"),
            false => ("alter system set synchronous_standby_names = ''", "async"),
        };
        execute(&self.primary.database(), set).await;
        execute(&self.primary.database(), "select pg_reload_conf()").await;
        let states = "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = $1";
        wait_for_one(&self.primary.database(), states, state).await;
    }

    /// Gives the former standby, which was promoted, a standby of its own.
    pub async fn replace_primary(self) -> Self {
        let Self { primary, standby, proxy } = self;
        let (_, next) = tokio::join!(primary.stop(), standby_of(&standby));
        let pair = Self { primary: standby, standby: next, proxy };
        pair.set_synchronous(false).await;
        pair
    }

    /// Two instances that reach the database by the proxy, as the test itself does.
    pub async fn fleet(&self) -> Fleet {
        let url = self.proxy.url("readout");
        Fleet::at(url.parse().expect("a url"), [&url, &url], &[]).await
    }

    /// Two instances that reach the database by the proxy. The test reaches the primary.
    pub async fn fleet_of_primary(&self) -> Fleet {
        let url = self.proxy.url("readout");
        Fleet::at(self.primary.database(), [&url, &url], &[]).await
    }

    /// Cuts the primary off and kills it, and promotes the standby.
    pub async fn fail_over(&self) {
        self.proxy.go_down();
        self.primary.dir.kill_servers();
        execute(&self.standby.database(), "select pg_promote()").await;
        self.proxy.lead_to(socket(&self.standby.database()));
        self.proxy.come_up();
    }

    /// Ends the replication: the standby receives no further changes.
    pub async fn disconnect(&self) {
        execute(&self.standby.database(), "alter system set primary_conninfo = ''").await;
        execute(&self.standby.database(), "select pg_reload_conf()").await;
        let count = "select 1 - count(*) from pg_stat_replication where state = $1";
        wait_for_one(&self.primary.database(), count, "streaming").await;
    }

    /// Stops the replay: the standby receives changes, and does not show them.
    pub async fn pause_replay(&self) {
        execute(&self.standby.database(), "select pg_wal_replay_pause()").await;
        let state = "select count(*) from pg_get_wal_replay_pause_state() as state where state = $1";
        wait_for_one(&self.standby.database(), state, "paused").await;
    }

    /// Continues the replay.
    pub async fn resume_replay(&self) {
        execute(&self.standby.database(), "select pg_wal_replay_resume()").await;
    }

    /// Directs further connections to both servers in turn.
    pub fn mix(&self) {
        self.proxy.lead_to_in_turn(&[socket(&self.primary.database()), socket(&self.standby.database())]);
    }

    /// Cuts all connections, and directs further ones to the standby.
    pub fn lead_to_standby(&self) {
        self.proxy.lead_to(socket(&self.standby.database()));
        self.proxy.cut();
    }

    /// Cuts all connections. New ones can be made at once.
    pub fn cut(&self) {
        self.proxy.cut();
    }

    pub async fn stop(self) {
        self.standby.stop().await;
        self.primary.stop().await;
    }
}
