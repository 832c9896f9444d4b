//! Manual pages as the program writes them, and as groff shows them where that is installed.

use std::process::Command;

use crate::support::llava_video;
use crate::support::process::skipped;

#[test]
fn every_command_of_the_help_has_a_manual_page() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("share/man1");
    assert_eq!(llava_video(["man".as_ref(), dir.as_os_str()]).stdout_of_success(), "");
    let help = llava_video(["--help"]);
    let (_, commands) = help.stdout_of_success().split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // What a command does may go on in further lines, which stand deeper.
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"ask") && commands.contains(&"man"), "{commands:?}");
    for command in commands.into_iter().filter(|&command| command != "help") {
        let page = std::fs::read_to_string(dir.join(format!("llava-video-{command}.1"))).unwrap();
        let title = format!(".TH \"LLAVA-VIDEO-{}\" \"1\" ", command.to_uppercase());
        assert!(page.starts_with(&title), "{command}: {page}");
    }
    // Once more over those that are there.
    llava_video(["man".as_ref(), dir.as_os_str()]).stdout_of_success();
}

#[test]
fn a_page_shows_the_flags_and_the_examples_of_a_command() {
    let dir = tempfile::tempdir().unwrap();
    llava_video(["man".as_ref(), dir.path().as_os_str()]).stdout_of_success();
    let page = dir.path().join("llava-video-ask.1");
    // Plain characters, and a warning about whatever is wrong.
    let Ok(output) = Command::new("groff").args(["-man", "-ww", "-Tascii", "-P-cbou"]).arg(page).output() else {
        return skipped("a manual page as it is shown", "groff is not installed");
    };
    let page = String::from_utf8(output.stdout).unwrap();
    for expected in ["--frames", "EXAMPLES", "llava-video ask clip.mp4 \"What is the man holding?\"", "EXIT STATUS"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let dir = file.path().join("pages");
    llava_video(["man".as_ref(), dir.as_os_str()]).fails_with(&["cannot create `", "pages`"]);
}
