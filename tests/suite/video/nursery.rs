//! Children that one process forks for many clips: confined like any other, alone in what befalls them, and started one
//! by one where the process that forks them fails.

use std::convert::Infallible;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use llava_video::video::isolated::{IsolatedClip, Launcher, OWN_DESCRIPTORS, View};
use llava_video::video::{ClipOptions, Error, Frame, ReadError};

use crate::support::family::{Relative, children};
use crate::support::process::{PATIENCE, wait_for};
use crate::support::{clip, forking, launchers, plain};

/// 90 frames.
const CLIP: &str = "plain_h264.mp4";

/// A copy of the clip that no other test opens, so that the process which reads it is found by it.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        fs::copy(clip(CLIP), copy.0.path().join("clip.mp4")).unwrap();
        copy
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("clip.mp4").canonicalize().unwrap()
    }

    fn open(&self, launcher: &Launcher) -> IsolatedClip {
        self.open_within(launcher, None).unwrap()
    }

    fn open_within(&self, launcher: &Launcher, timeout: Option<Duration>) -> Result<IsolatedClip, Error> {
        IsolatedClip::open(&self.path(), &ClipOptions::default(), timeout, launcher, &|| true)
    }

    /// The child that holds it open.
    #[track_caller]
    fn reader(&self) -> Relative {
        let path = self.path();
        let holds = |child: &Relative| open_files(child.id).contains(&path);
        children(std::process::id()).into_iter().find(holds).expect("a child that reads the clip")
    }
}

fn open_files(id: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
    entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}

fn read(clip: &mut IsolatedClip, indices: &[usize]) -> Result<Vec<Frame>, Error> {
    let mut frames = Vec::new();
    let mut sink = |frame| {
        frames.push(frame);
        Ok::<(), Infallible>(())
    };
    match clip.read(indices, View::Native, &|| true, &mut sink) {
        Ok(()) => Ok(frames),
        Err(ReadError::Clip(error)) => Err(error),
        Err(ReadError::Sink(never)) => match never {},
    }
}

/// What the system says of a process's confinement: system calls, rights, limits and open files.
fn confinement(id: u32) -> (Vec<String>, String, Vec<String>) {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let facts = ["Seccomp:", "Seccomp_filters:", "NoNewPrivs:", "CapEff:", "Uid:", "Gid:"];
    let facts = status.lines().filter(|line| facts.iter().any(|fact| line.starts_with(fact)));
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    // The time allowed counts from what was used before.
    let limits = limits.lines().filter(|line| !line.starts_with("Max cpu time"));
    let mut files: Vec<String> = open_files(id).iter().map(|file| file.display().to_string()).collect();
    // Pipes have numbers, and each copy of the clip its own directory.
    for file in &mut files {
        let end = file.find(":[").unwrap_or(file.len());
        file.truncate(end);
        *file = file.rsplit('/').next().unwrap().to_owned();
    }
    files.sort_unstable();
    (facts.map(str::to_owned).collect(), limits.collect::<Vec<_>>().join("\n"), files)
}

#[test]
fn a_forked_child_is_confined_as_a_started_one() {
    let copies = [Copy::new(), Copy::new()];
    let [started, forked] = launchers();
    let opened = [copies[0].open(&started), copies[1].open(&forked)];
    let readers = [copies[0].reader(), copies[1].reader()];
    assert_ne!(Relative::find(readers[1].id).unwrap(), readers[0]);
    let [started_is, forked_is] = readers.map(|reader| confinement(reader.id));
    assert!(started_is.0.iter().any(|fact| fact == "Seccomp:\t2"), "{started_is:?}");
    assert_eq!(started_is, forked_is);
    assert_eq!(opened[0].unconfined(), opened[1].unconfined());
    assert_eq!(forked_is.2, ["clip.mp4", "null", "pipe", "pipe"]);
}

#[test]
fn what_befalls_one_child_is_its_own() {
    // The handler of a Rust program takes the first SIGSEGV for an overflow of the stack, and waits for the next.
    for (signal, reason) in
        [(libc::SIGILL, "crashed with signal 4"), (libc::SIGKILL, "signal 9"), (libc::SIGABRT, "aborted")]
    {
        let launcher = forking();
        let (one, other) = (Copy::new(), Copy::new());
        let (mut struck, mut spared) = (one.open(&launcher), other.open(&launcher));
        let (reader, sibling) = (one.reader(), other.reader());
        assert!(reader.is_sibling_of(&sibling), "{reader:?} {sibling:?}");
        reader.signal(signal);
        match read(&mut struck, &[3]).err() {
            Some(Error::Child { reason: told, .. }) => assert!(told.contains(reason), "{told}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(read(&mut spared, &[3, 5]).unwrap().len(), 2);
        // Where things lie in memory may have been guessed: the next one's things lie elsewhere.
        let next = Copy::new();
        let mut opened = next.open(&launcher);
        assert!(!next.reader().is_sibling_of(&sibling));
        assert_eq!(read(&mut opened, &[3, 5]).unwrap().len(), 2);
        assert_eq!(launcher.take_warnings(), <Vec<String>>::new());
    }
}

#[test]
fn a_child_that_hangs_is_given_up_alone() {
    let launcher = forking();
    let (one, other) = (Copy::new(), Copy::new());
    let mut hanging = one.open_within(&launcher, Some(Duration::from_millis(500))).unwrap();
    let reader = one.reader();
    reader.signal(libc::SIGSTOP);
    assert!(matches!(read(&mut hanging, &[3]), Err(Error::TimedOut { .. })));
    assert_eq!(read(&mut other.open(&launcher), &[3]).unwrap().len(), 1);
    drop(hanging);
    assert_eq!(Relative::find(reader.id), None, "it was killed and waited for");
}

/// Signals to all processes of a job reach a child, too; its parent decides whether it goes on.
#[test]
fn a_forked_child_outlives_the_signals_that_ask_for_an_end() {
    let copy = Copy::new();
    let mut opened = copy.open(&forking());
    let reader = copy.reader();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        reader.signal(signal);
    }
    assert_eq!(read(&mut opened, &[0, 89]).unwrap().len(), 2);
}

#[test]
fn nurseries_that_fail_are_replaced_and_then_done_without() {
    let launcher = forking();
    let copy = Copy::new();
    let expected = read(&mut copy.open(&plain()), &[3, 50]).unwrap();
    for failures in 0..4 {
        let mut opened = copy.open(&launcher);
        let warnings = launcher.take_warnings();
        match failures {
            1 => assert!(warnings.len() == 1 && warnings[0].ends_with("it is started again"), "{warnings:?}"),
            2 => assert!(warnings.len() == 1 && warnings[0].contains("a program of its own"), "{warnings:?}"),
            _ => assert!(warnings.is_empty(), "{warnings:?}"),
        }
        if failures < 2 {
            let nursery = copy.reader().nursery().expect("its nursery");
            nursery.signal(libc::SIGKILL);
            wait_for("its end", PATIENCE, || Relative::has_ended(nursery.id));
        } else {
            assert!(copy.reader().nursery().is_none(), "it was started by itself");
        }
        // Its child is no child of its own.
        assert!(read(&mut opened, &[3, 50]).unwrap() == expected);
    }
}

/// Other programs in the nursery's place: one that ends, one that says nothing, and none.
#[test]
fn programs_that_are_no_nursery_are_done_without() {
    let copy = Copy::new();
    let binary = env!("CARGO_BIN_EXE_llava-video");
    for (arguments, reason) in [(&["--version"][..], "it ended with code 0"), (&["no-such-command"], "code 2")] {
        let launcher = Launcher::new(binary, ["decode-worker"]).forking(arguments);
        launcher.prepare();
        assert_eq!(read(&mut copy.open(&launcher), &[3]).unwrap().len(), 1);
        let warnings = launcher.take_warnings();
        assert!(warnings.len() == 2 && warnings.iter().all(|warning| warning.contains(reason)), "{warnings:?}");
    }
    let launcher = Launcher::new("/no/such/program", [""; 0]).forking([""; 0]);
    assert!(matches!(copy.open_within(&launcher, None), Err(Error::Launch { .. })));
    assert!(launcher.take_warnings().iter().all(|warning| warning.contains("No such file")));
}

#[test]
fn a_nursery_that_does_not_answer_keeps_nobody_for_ever() {
    let copy = Copy::new();
    let launcher = forking();
    let nursery = {
        let _opened = copy.open(&launcher);
        copy.reader().nursery().expect("its nursery")
    };
    nursery.signal(libc::SIGSTOP);
    // An interrupt ends the wait.
    let started = Instant::now();
    let keep_going = || started.elapsed() < Duration::from_millis(300);
    let opened = IsolatedClip::open(&copy.path(), &ClipOptions::default(), None, &launcher, &keep_going);
    assert!(opened.is_err() && started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(launcher.take_warnings(), <Vec<String>>::new());
    // And so does patience.
    let _opened = copy.open(&launcher);
    let nursery = copy.reader().nursery().expect("another nursery");
    nursery.signal(libc::SIGSTOP);
    assert_eq!(read(&mut Copy::new().open(&launcher), &[3]).unwrap().len(), 1);
    let warnings = launcher.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("it does not answer"), "{warnings:?}");
    assert!(Relative::has_ended(nursery.id));
}

/// A clip without a name, as a stream is spooled: children find it by its number.
#[test]
fn a_file_that_is_left_open_is_found_by_its_number() {
    for launcher in launchers() {
        // The nursery is there before the file.
        launcher.prepare();
        let mut file = tempfile::tempfile().unwrap();
        std::io::copy(&mut File::open(clip(CLIP)).unwrap(), &mut file).unwrap();
        let path = PathBuf::from(format!("{OWN_DESCRIPTORS}{}", file.as_raw_fd()));
        let open = || IsolatedClip::open(&path, &ClipOptions::default(), None, &launcher, &|| true);
        // Not what children are not to have.
        assert!(open().is_err());
        leave_open(&file);
        assert_eq!(read(&mut open().unwrap(), &[3, 5]).unwrap().len(), 2);
    }
}

fn leave_open(file: &File) {
    // SAFETY: takes numbers, changes a flag of this file.
    unsafe {
        assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0), 0);
    }
}

/// The last clip may outlive its launcher.
#[test]
fn a_nursery_ends_with_the_last_of_its_launcher_and_its_clips() {
    let copy = Copy::new();
    let launcher = forking();
    let mut opened = copy.open(&launcher);
    let nursery = copy.reader().nursery().expect("its nursery");
    drop((launcher.clone(), launcher));
    assert_eq!(read(&mut opened, &[3]).unwrap().len(), 1);
    drop(opened);
    assert_eq!(Relative::find(nursery.id), None, "it was waited for");
}

#[test]
fn a_clip_that_is_closed_keeps_no_process() {
    for launcher in launchers() {
        let copy = Copy::new();
        let mut opened = copy.open(&launcher);
        let reader = copy.reader();
        opened.close();
        assert_eq!(Relative::find(reader.id), None);
        assert_eq!(opened.info().frame_count, 90);
        assert!(matches!(read(&mut opened, &[3]), Err(Error::Child { .. })));
    }
}

/// What the nursery was started with is not its own, nor its children's.
#[test]
fn a_nursery_holds_no_files() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    leave_open(secret.as_file());
    let copy = Copy::new();
    let _opened = copy.open(&forking());
    let reader = copy.reader();
    let nursery = reader.nursery().expect("its nursery");
    let secret: &Path = secret.path();
    for id in [reader.id, nursery.id] {
        assert!(!open_files(id).iter().any(|file| file == secret), "{:?}", open_files(id));
    }
    assert_eq!(open_files(nursery.id).len(), 3, "{:?}", open_files(nursery.id));
}
