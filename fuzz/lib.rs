//! Runs the targets of `tests/fuzz/targets/` under libFuzzer. The same functions run without it in `cargo test`.

#[path = "../tests/fuzz/targets/mod.rs"]
pub mod targets;

/// Runs the target with this name.
pub fn run(name: &str, input: &[u8]) {
    let target = targets::TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).run)(input);
}

/// Defines the program of a target, whose name is that of its file.
#[macro_export]
macro_rules! program {
    ($target:literal) => {
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::run($target, input));
    };
}
