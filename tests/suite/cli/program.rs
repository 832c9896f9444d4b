//! The program as a file.

/// Line tables and names make four fifths of it where nobody strips them.
#[test]
fn the_program_is_stripped() {
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_llava-video")).unwrap().len();
    assert!(bytes < 40_000_000, "{bytes} bytes");
}
