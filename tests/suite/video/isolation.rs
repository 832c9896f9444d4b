//! Decoding in a child process: what the parent does when it fails, and files that try to reach beyond themselves.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use llava_video::video::isolated::{IsolatedClip, Launcher};
use llava_video::video::{ClipOptions, Error};

use crate::support::process::{PATIENCE, Running};
use crate::support::{clip, forking, launchers, llava_video};

const CLIP: &str = "plain_h264.mp4";

/// Opens a clip with a shell command in place of the child.
fn open_with(script: &str, timeout: Option<f64>) -> Error {
    let launcher = Launcher::new("/bin/sh", ["-c", script]);
    let timeout = timeout.map(Duration::from_secs_f64);
    let started = Instant::now();
    let opened = IsolatedClip::open(&clip(CLIP), &ClipOptions::default(), timeout, &launcher, &|| true);
    assert!(started.elapsed() < Duration::from_secs(10), "{script} took {:?}", started.elapsed());
    opened.expect_err("no shell command is a worker")
}

#[test]
fn a_child_that_dies_costs_one_error() {
    let reason = |script: &str| match open_with(script, None) {
        Error::Child { reason, path } if path == clip(CLIP) => reason,
        other => panic!("{script}: {other:?}"),
    };
    assert!(reason("kill -SEGV $$").contains("crashed with signal 11"));
    assert!(reason("kill -ABRT $$").contains("aborted"));
    assert!(reason("exit 0").contains("without an answer"));
    assert!(reason("exit 3").contains('3'));
    for nonsense in ["cat", "cat /dev/zero", "yes"] {
        assert!(reason(nonsense).contains("malformed"), "{nonsense}");
    }
}

#[test]
fn a_child_that_hangs_is_given_up() {
    assert!(matches!(open_with("exec sleep 100", Some(0.3)), Error::TimedOut { secs: 0, .. }));
    assert!(matches!(open_with("kill -XCPU $$", None), Error::TimedOut { .. }));
}

#[test]
fn an_interrupt_ends_the_wait() {
    let launcher = Launcher::new("/bin/sleep", ["100"]);
    let opened = IsolatedClip::open(&clip(CLIP), &ClipOptions::default(), None, &launcher, &|| false);
    assert!(matches!(opened, Err(Error::Interrupted { .. })));
}

#[test]
fn a_timeout_is_an_error_that_names_the_flag() {
    let path = clip(CLIP);
    let run = llava_video(["frames", path.to_str().unwrap(), "--decode-timeout", "0.000001"]);
    run.fails_with(&["plain_h264.mp4", "gave up", "hint: ", "--decode-timeout"]);
    assert_eq!(llava_video(["frames", path.to_str().unwrap(), "--decode-timeout", "0"]).code, Some(2));
}

#[test]
fn frames_in_the_child_are_those_of_this_process() {
    for launcher in launchers() {
        frames_are_those_of_this_process(&launcher);
    }
}

fn frames_are_those_of_this_process(launcher: &Launcher) {
    use llava_video::video::{Clip, Frame};
    let options = ClipOptions::default();
    let mut child = IsolatedClip::open(&clip(CLIP), &options, None, launcher, &|| true).unwrap();
    let mut here = Clip::open(&clip(CLIP), &options).unwrap();
    assert_eq!(child.info(), here.info());
    let (mut from_child, mut from_here): (Vec<Frame>, Vec<Frame>) = (Vec::new(), Vec::new());
    let indices = [0, 0, 17, 89];
    let view = llava_video::video::isolated::View::Native;
    let mut sink = |frame| {
        from_child.push(frame);
        Ok::<(), Infallible>(())
    };
    child.read(&indices, view, &|| true, &mut sink).unwrap();
    let mut sink = |frame| {
        from_here.push(frame);
        Ok::<(), Infallible>(())
    };
    here.read(&indices, view, &mut sink).unwrap();
    assert_eq!(from_child.len(), 3);
    assert!(from_child == from_here);
}

/// A program that was removed while it waited for its input, by an upgrade for example.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_is_gone_does_not_blame_the_clip() {
    let binary = Path::new(env!("CARGO_BIN_EXE_llava-video"));
    // Beside the binary, where a link to it can be made.
    let dir = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
    let program = dir.path().join("llava-video");
    std::fs::hard_link(binary, &program).unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let running = Running::start(Command::new(&program).args(["probe", "-"]).stdin(reader));
    std::fs::remove_file(&program).unwrap();
    writer.write_all(&std::fs::read(clip(CLIP)).unwrap()).unwrap();
    drop(writer);
    let run = running.end_within(PATIENCE);
    run.fails_with(&["cannot start", "No such file", "hint: "]);
    assert!(!run.stderr.contains("standard input"), "{run:?}");
}

/// Watches a named pipe: whoever opens it for reading, however briefly, is noticed.
struct Canary {
    path: PathBuf,
    touched: Arc<AtomicBool>,
    watching: Arc<AtomicBool>,
    watcher: Option<std::thread::JoinHandle<()>>,
}

impl Canary {
    fn new(path: PathBuf) -> Self {
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (touched, watching) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let (flag, on, pipe) = (Arc::clone(&touched), Arc::clone(&watching), path.clone());
        let watcher = std::thread::spawn(move || {
            while on.load(Ordering::Relaxed) {
                // Without a reader this fails; a reader would wait for this very writer.
                if File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&pipe).is_ok() {
                    flag.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { path, touched, watching, watcher: Some(watcher) }
    }

    fn was_touched(mut self) -> bool {
        self.watching.store(false, Ordering::Relaxed);
        self.watcher.take().unwrap().join().unwrap();
        self.touched.load(Ordering::Relaxed)
    }
}

#[test]
fn the_canary_notices_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let canary = Canary::new(dir.path().join("canary"));
    drop(File::open(&canary.path).unwrap());
    assert!(canary.was_touched());
}

#[test]
fn playlists_and_scripts_open_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let canary = Canary::new(dir.path().join("canary.ts"));
    let forking = forking();
    let local = canary.path.to_str().unwrap().to_owned();
    for (index, target) in
        [local.clone(), format!("file:{local}"), format!("http://127.0.0.1:{port}/a.ts")].iter().enumerate()
    {
        let host = if target.starts_with("http") { "127.0.0.1" } else { "0.0.0.0" };
        for (kind, text) in [
            ("hls", format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n")),
            ("concat", format!("ffconcat version 1.0\nfile '{target}'\n")),
            (
                "dash",
                format!(
                    "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
                     mediaPresentationDuration=\"PT5S\"><Period><AdaptationSet mimeType=\"video/mp4\"><Representation \
                     id=\"1\" bandwidth=\"1\"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
                ),
            ),
            (
                "sdp",
                format!(
                    "v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
                ),
            ),
            ("imf", format!("<?xml version=\"1.0\"?><AssetMap><Path>{target}</Path></AssetMap>")),
        ] {
            for extension in ["mp4", "m3u8", "ts", "ffconcat", "sdp", "mpd"] {
                let path = dir.path().join(format!("{kind}{index}.{extension}"));
                std::fs::write(&path, &text).unwrap();
                refused(&path);
                let opened = IsolatedClip::open(&path, &ClipOptions::default(), None, &forking, &|| true);
                assert!(matches!(opened, Err(Error::Reported { .. })), "{}: {opened:?}", path.display());
            }
        }
    }
    let pattern = dir.path().join("frame%03d.png");
    refused(&pattern);
    assert!(!canary.was_touched(), "a playlist's target was opened");
    let connection = listener.accept();
    assert!(connection.is_err(), "a playlist's address was called: {connection:?}");
}

fn refused(path: &Path) {
    llava_video(["frames", path.to_str().unwrap(), "--frames", "2"]).fails_with(&[path.to_str().unwrap()]);
}

/// Headers that claim enormous pictures: one over our limit, one that FFmpeg itself cannot hold.
#[test]
fn enormous_frames_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    for (side, part) in [(12_000, "12000x12000"), (30_000, "not a video")] {
        let path = dir.path().join("large.y4m");
        std::fs::write(&path, format!("YUV4MPEG2 W{side} H{side} F25:1 Ip A1:1 C420\nFRAME\nxxxx")).unwrap();
        llava_video(["frames", path.to_str().unwrap()]).fails_with(&["large.y4m", part]);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}
