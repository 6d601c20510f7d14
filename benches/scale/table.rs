//! The measurements as tables.

use super::{
    Stage,
    latency::{Times, millis},
    queries::{SHAPES, Shape, Target},
};

const LEAST_STREAM_RATIO: f64 = 0.25;

pub fn print(small: &Stage, large: &Stage) {
    println!(
        "the busiest participant has {} meetings, another {}\n",
        large.facts.busiest.meetings, large.facts.busy.meetings
    );
    let head =
        ["shape", "rows", &size(small), &size(large), "ratio", "target", "verdict", "read by"].map(str::to_owned);
    let rows = SHAPES.iter().zip(&small.times).zip(&large.times);
    let rows = rows.map(|((shape, small), large)| row(shape, &small.0, large));
    println!("{}", aligned(std::iter::once(head).chain(rows).collect()));
    for (shape, (times, _)) in SHAPES.iter().chain(SHAPES).zip(small.times.iter().chain(&large.times)) {
        if let Some(failure) = &times.failure {
            println!("{}: {failure}", shape.name);
        }
    }
    println!("{}", aligned(streams(small, large)));
}

fn size(stage: &Stage) -> String {
    format!("p50 p99 ms of {}", stage.size)
}

fn row(shape: &Shape, small: &Times, (large, indexes): &(Times, Vec<String>)) -> [String; 8] {
    let ratio = large.p50.as_secs_f64() / small.p50.as_secs_f64();
    let (target, is_good) = match shape.target {
        Target::Times(most) => (format!("<= {most}"), ratio <= most),
        Target::Millis(most) => (format!("<= {most} ms"), millis(large.p50) <= most),
    };
    let latencies = |times: &Times| format!("{:.2} {:.1}", millis(times.p50), millis(times.p99));
    [
        shape.name.to_owned(),
        format!("{:.0}", large.rows),
        latencies(small),
        latencies(large),
        format!("{ratio:.2}"),
        target,
        verdict(is_good && large.failure.is_none()),
        indexes.join(", "),
    ]
}

fn verdict(is_good: bool) -> String {
    if is_good { "ok" } else { "SHORT" }.to_owned()
}

fn streams(small: &Stage, large: &Stage) -> Vec<[String; 6]> {
    let head = ["StreamMeetings", "rows/s", "of copy", "ratio", "target", "verdict"].map(str::to_owned);
    let row = |stage: &Stage| {
        let streamed = stage.streamed;
        [
            format!("{} meetings", stage.size),
            format!("{:.0}", streamed.sent),
            format!("{:.0}", streamed.copied),
            format!("{:.2}", streamed.ratio),
            format!(">= {LEAST_STREAM_RATIO}"),
            verdict(streamed.ratio >= LEAST_STREAM_RATIO),
        ]
    };
    vec![head, row(small), row(large), memory(small, large)]
}

/// Compares the peak memory: ten times the meetings must not need much more.
fn memory(small: &Stage, large: &Stage) -> [String; 6] {
    let ratio = large.streamed.peak / small.streamed.peak;
    let figures = |stage: &Stage| format!("{:.0} MiB, of {:.0} at first", stage.streamed.peak, stage.streamed.memory);
    [
        "peak memory of the two".to_owned(),
        figures(small),
        figures(large),
        format!("{ratio:.2}"),
        format!("<= {MAX_MEMORY_RATIO}"),
        verdict(ratio <= MAX_MEMORY_RATIO),
    ]
}

/// The memory that an allocator retains varies by this much.
const MAX_MEMORY_RATIO: f64 = 1.3;

fn aligned<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join(" | ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
