//! `make scale N=1000000`: the latency of queries over a tenth of N meetings compared with that over all N.
//!
//! `world` generates meetings from the real ones, `load` writes them, `shapes` lists the queries, `times` and `stream`
//! measure them in a service process, `plan` finds the indexes that they use. `names` measures MatchParticipants.

mod chance;
mod cluster;
mod filter_values;
mod latency;
mod load;
mod names;
mod plan;
mod queries;
mod query;
mod query_subjects;
mod stream;
mod table;
mod world;

#[path = "../../tests/support/data_dir.rs"]
#[allow(dead_code)]
mod data_dir;
#[path = "../../tests/support/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "../../tests/support/service.rs"]
#[allow(dead_code)]
mod service;
#[path = "../../tests/support/stories.rs"]
#[allow(dead_code)]
mod stories;

use std::{sync::Arc, time::Instant};

use sqlx::postgres::PgConnectOptions;

use self::{
    filter_values::Sampler, latency::Times, load::load, program::Program, queries::SHAPES, query_subjects::Facts,
    stream::Streamed, world::World,
};

const DEFAULT_SIZE: usize = 100_000;
/// One participant for this many meetings.
const MEETINGS_PER_PARTICIPANT: usize = 20;

/// The measurements at one number of meetings.
pub struct Stage {
    size: usize,
    facts: Facts,
    streamed: Streamed,
    /// In the order of the shapes, each with the indexes that it uses.
    times: Vec<(Times, Vec<String>)>,
}

/// `cargo bench --bench scale -- 1000000`, or `-- names 1000000` for MatchParticipants alone.
fn main() {
    let size = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(DEFAULT_SIZE);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begin = Instant::now();
    if std::env::args().any(|arg| arg == "names") {
        runtime.block_on(names::measure(size));
        return;
    }
    runtime.block_on(async {
        let database = cluster::database().await;
        let small = stage(&database, 0, size / 10).await;
        let large = stage(&database, size / 10, size).await;
        table::print(&small, &large);
    });
    println!("took {} s", begin.elapsed().as_secs());
}

/// Adds meetings after `from` up to `size`, and measures all queries.
async fn stage(database: &PgConnectOptions, from: usize, size: usize) -> Stage {
    let world = Arc::new(World::of(size / MEETINGS_PER_PARTICIPANT));
    load(&world, database, from / MEETINGS_PER_PARTICIPANT..size / MEETINGS_PER_PARTICIPANT, from..size).await;
    let mut connection = cluster::connect(database).await;
    let facts = Facts::read(&mut connection).await;
    let url = cluster::url(database).await;
    let program = Program::serve_beside(cluster::directory().await, &url, &[]).await;
    let channel = program.channel().await;

    let streamed = stream::measure(&channel, program.pid(), &mut connection).await;
    let mut times = Vec::new();
    for shape in SHAPES {
        let sampler = || Sampler::new(shape.name, &world, &facts);
        let measured = latency::measure(shape, sampler(), &channel).await;
        let query = (shape.query)(&mut sampler());
        times.push((measured, plan::indexes(&query, &channel, &mut connection).await));
    }
    program.stop().await;
    Stage { size, facts, streamed, times }
}
