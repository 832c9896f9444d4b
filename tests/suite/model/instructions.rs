//! Every set of instructions that this machine has gives the reference's numbers, and another is refused.

use llava_video::device::Isa;

use crate::support::{ask_args, clip_arg, command, device, run};

const VARIABLE: &str = "LLAVA_VIDEO_ISA";

/// The tests against the reference, each set of instructions in a process of its own. The best one is what they run
/// with in this process.
#[test]
fn every_set_gives_what_the_reference_gives() {
    let available = Isa::available();
    let Some((_, lower)) = available.split_last().filter(|_| device() == "cpu") else { return };
    for isa in lower {
        let suite = std::env::current_exe().expect("this test's program");
        let mut again = std::process::Command::new(suite);
        again.args([
            "model::parity::",
            "model::long::",
            "model::conversations::",
            "model::together::",
            "--test-threads=2",
        ]);
        let output = again.env(VARIABLE, isa.name()).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {told}{}", isa.name(), String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("test model::parity::") && !told.contains(" 0 passed"), "{}: {told}", isa.name());
    }
}

#[test]
fn a_set_that_is_unknown_is_refused() {
    let ask = |value: &str| {
        let mut ask = command();
        ask.args(ask_args(&[&clip_arg("sk_bigbuckbunny.mp4"), "?"], &["--device", "cpu", "--frames", "1", "--json"]));
        run(ask.env(VARIABLE, value))
    };
    let refused = ask("sse9");
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    for part in
        ["error: cannot choose the instructions", "LLAVA_VIDEO_ISA=sse9", "plain", "hint: unset LLAVA_VIDEO_ISA"]
    {
        assert!(refused.stderr.contains(part), "`{part}` is missing: {}", refused.stderr);
    }
    assert_eq!(ask("plain").json()["kernels"], "plain");
}
