//! `make scale N=1000000`: what questions cost among a tenth of so many meetings, and among all, side by side.
//!
//! `world` makes meetings as they really were, `load` writes them, `shapes` says what is asked (a line each), `times` and
//! `stream` measure it in a service of its own process, `plan` tells by which indexes it was answered.

mod asker;
mod chance;
mod cluster;
mod facts;
mod load;
mod plan;
mod question;
mod shapes;
mod stream;
mod table;
mod times;
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
    asker::Asker, facts::Facts, load::load, program::Program, shapes::SHAPES, stream::Streamed, times::Times,
    world::World,
};

const DEFAULT_SIZE: usize = 100_000;
/// Participants for so many meetings.
const PARTICIPANTS: usize = 20;

/// What was measured among so many meetings.
pub struct Stage {
    size: usize,
    facts: Facts,
    streamed: Streamed,
    /// In the order of the shapes, each with its indexes.
    times: Vec<(Times, Vec<String>)>,
}

/// `cargo bench --bench scale -- 1000000`
fn main() {
    let size = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(DEFAULT_SIZE);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begin = Instant::now();
    runtime.block_on(async {
        let database = cluster::database().await;
        let small = stage(&database, 0, size / 10).await;
        let large = stage(&database, size / 10, size).await;
        table::print(&small, &large);
    });
    println!("took {} s", begin.elapsed().as_secs());
}

/// Adds meetings after `from` up to `size`, and measures all.
async fn stage(database: &PgConnectOptions, from: usize, size: usize) -> Stage {
    let world = Arc::new(World::of(size / PARTICIPANTS));
    load(&world, database, from / PARTICIPANTS..size / PARTICIPANTS, from..size).await;
    let mut connection = cluster::connect(database).await;
    let facts = Facts::learn(&mut connection).await;
    let url = cluster::url(database).await;
    let program = Program::serve_beside(cluster::directory().await, &url, &[]).await;
    let channel = program.channel().await;

    let streamed = stream::measure(&channel, program.pid(), &mut connection).await;
    let mut times = Vec::new();
    for shape in SHAPES {
        let asker = || Asker::new(shape.name, &world, &facts);
        let measured = times::measure(shape, asker(), &channel).await;
        let question = (shape.question)(&mut asker());
        times.push((measured, plan::indexes(&question, &channel, &mut connection).await));
    }
    program.stop().await;
    Stage { size, facts, streamed, times }
}
