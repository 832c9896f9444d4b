//! The `llava-video` command; everything it does is in `cli` and the library.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
