//! The entry point of the `readout` program. All code is in the library: futures that this crate polls would be
//! compiled a second time.

fn main() -> std::process::ExitCode {
    readout::program::main()
}
