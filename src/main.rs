//! The `readout` program. All of it is in the library: code that is polled here would be compiled a second time.

fn main() -> std::process::ExitCode {
    readout::program::main()
}
