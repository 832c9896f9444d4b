//! The library without the command line: the shortest way to an answer is the same answer.

use crate::support::{clip_arg, llava_video, plain};

/// The example that answers a question, as a part of this test.
#[path = "../../../examples/answer.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod answer;

#[test]
fn the_example_answers_as_the_program_does() {
    let (clip, question) = (clip_arg("clip1-h264.mp4"), "What color is the star?");
    let answered = answer::answer(&clip, question, plain()).unwrap();
    let program = llava_video(["ask", &clip, question, "--model", "demo", "--device", "cpu"]);
    assert_eq!(format!("{answered}\n"), program.stdout_of_success());
    assert_eq!(answered, "cyan");
}
