//! The metrics of this process, read from `/proc`, under the standard names of Prometheus clients. Empty on systems other
//! than Linux.

use std::{fmt::Write, fs};

/// The unit of times in `/proc`: USER_HZ, which is 100 on all platforms (`man 5 proc`).
const TICKS_PER_SECOND: f64 = 100.0;

struct Process {
    cpu_seconds: f64,
    start_time: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    open_files: usize,
    max_files: u64,
}

/// The metrics of this process, in the Prometheus text format.
pub fn render() -> String {
    let Some(process) = read() else { return String::new() };
    let Process { cpu_seconds, start_time, resident_bytes, virtual_bytes, threads, open_files, max_files } = process;
    let mut text = String::new();
    let mut line = |name: &str, kind: &str, help: &str, value: String| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    };
    let cpu = "Processor time that the process has used, in seconds";
    line("process_cpu_seconds_total", "counter", cpu, cpu_seconds.to_string());
    let start = "When the process started, in seconds since 1970";
    line("process_start_time_seconds", "gauge", start, start_time.to_string());
    line("process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes.to_string());
    line("process_virtual_memory_bytes", "gauge", "Virtual memory", virtual_bytes.to_string());
    line("process_threads", "gauge", "Threads of the process", threads.to_string());
    line("process_open_fds", "gauge", "Open file descriptors", open_files.to_string());
    line("process_max_fds", "gauge", "File descriptors that may be open", max_files.to_string());
    text
}

fn read() -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold any character. The fields after it are numbered from 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    Some(Process {
        cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
        start_time: number_after(&boot, "btime")? as f64 + field(22)? / TICKS_PER_SECOND,
        resident_bytes: number_after(&status, "VmRSS:")? * 1024,
        virtual_bytes: number_after(&status, "VmSize:")? * 1024,
        threads: number_after(&status, "Threads:")?,
        // One of the descriptors is that of the directory itself.
        open_files: fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1),
        max_files: number_after(&limits, "Max open files").unwrap_or(u64::MAX),
    })
}

/// The first number on the line that begins with `start`.
fn number_after(text: &str, start: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(start))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn process_metrics_include_memory_files_and_start_time() {
        let text = super::render();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.expect("a line").parse().expect("a number")
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..86_400.0).contains(&(now - value("process_start_time_seconds"))));
    }
}
