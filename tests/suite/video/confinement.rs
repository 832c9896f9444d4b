//! What the child gives up, tried one by one: without confinement, where each attempt works, and then with it.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, Read, Result, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libc::{c_int, c_long};
use llava_video::video::isolated::confine;

use crate::support::process::{Guarded, Running, skipped};
use crate::support::wire::{self, read_message};
use crate::support::{Run, clip, llava_video};

/// Names the part that a test plays in a process of its own, and where.
const PART: &str = "LLAVA_VIDEO_TEST_PART";

/// Seconds of processor time that are enough for every part but one.
const CPU_SECS: u64 = 60;

/// Runs this very test again, in a process of its own, to play `part`.
fn play(test: &str, part: &str) -> (ExitStatus, Run) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("video::confinement::{test}");
    command.args(["--exact", &test, "--nocapture", "--test-threads", "1"]).env(PART, part);
    let output = command.output().unwrap();
    (output.status, Run::of(output))
}

/// The part that this process plays, if it is one that [`play`] started.
fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Where attempts are made.
struct Place {
    dir: PathBuf,
    /// The user's clip, the one file that may be read.
    clip: PathBuf,
    port: u16,
    /// Another process of the same user.
    victim: c_long,
}

impl Place {
    fn path(&self, name: &str) -> CString {
        CString::new(self.dir.join(name).as_os_str().as_bytes()).unwrap()
    }

    fn clip_path(&self) -> CString {
        self.path("clip.mp4")
    }
}

fn call(number: c_long, arguments: &[c_long]) -> Result<c_long> {
    let argument = |place: usize| arguments.get(place).copied().unwrap_or(0);
    // SAFETY: each caller passes what the call expects; pointers live until it returns.
    let result =
        unsafe { libc::syscall(number, argument(0), argument(1), argument(2), argument(3), argument(4), argument(5)) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn at(path: &CString) -> c_long {
    path.as_ptr() as c_long
}

const CWD: c_long = libc::AT_FDCWD as c_long;

/// What must be refused, and whether it is certain to work without confinement.
struct Attempt {
    what: &'static str,
    /// `false` where this may be impossible without confinement, for want of rights or of the kernel's support.
    is_certain: bool,
    /// `false` where only landlock can tell the clip from other files.
    by_system_call: bool,
    make: fn(&Place) -> Result<()>,
}

const fn certain(what: &'static str, make: fn(&Place) -> Result<()>) -> Attempt {
    Attempt { what, is_certain: true, by_system_call: true, make }
}

const fn uncertain(what: &'static str, make: fn(&Place) -> Result<()>) -> Attempt {
    Attempt { what, is_certain: false, by_system_call: true, make }
}

const fn by_landlock(what: &'static str, is_certain: bool, make: fn(&Place) -> Result<()>) -> Attempt {
    Attempt { what, is_certain, by_system_call: false, make }
}

const ATTEMPTS: &[Attempt] = &[
    // Other files.
    by_landlock("read another file", true, |place| File::open(place.dir.join("other")).map(drop)),
    by_landlock("list a directory", true, |place| fs::read_dir(&place.dir).map(drop)),
    by_landlock("read another process's memory", false, |place| {
        File::open(format!("/proc/{}/mem", place.victim)).map(drop)
    }),
    certain("create a file", |place| File::create(place.dir.join("new")).map(drop)),
    uncertain("create a file without a name", |place| {
        OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(&place.dir).map(drop)
    }),
    certain("make a directory", |place| fs::create_dir(place.dir.join("new-dir"))),
    certain("make a pipe with a name", |place| {
        call(libc::SYS_mknodat, &[CWD, at(&place.path("fifo")), c_long::from(libc::S_IFIFO | 0o600)]).map(drop)
    }),
    certain("remove another file", |place| fs::remove_file(place.dir.join("removable"))),
    // The user's own file.
    certain("open the clip to write", |place| OpenOptions::new().write(true).open(&place.clip).map(drop)),
    certain("open the clip to append", |place| OpenOptions::new().append(true).open(&place.clip).map(drop)),
    certain("empty the clip by opening it", |place| {
        let flags = c_long::from(libc::O_RDONLY | libc::O_TRUNC);
        call(libc::SYS_openat, &[CWD, at(&place.path("emptied")), flags]).map(drop)
    }),
    certain("truncate the clip", |place| call(libc::SYS_truncate, &[at(&place.clip_path()), 5000]).map(drop)),
    certain("change its mode", |place| call(libc::SYS_fchmodat, &[CWD, at(&place.clip_path()), 0o600]).map(drop)),
    certain("change its mode by descriptor", |place| {
        let file = File::open(&place.clip)?;
        call(libc::SYS_fchmod, &[c_long::from(file.as_raw_fd()), 0o600]).map(drop)
    }),
    certain("change its owner", |place| call(libc::SYS_fchownat, &[CWD, at(&place.clip_path()), -1, -1, 0]).map(drop)),
    certain("change its times", |place| call(libc::SYS_utimensat, &[CWD, at(&place.clip_path()), 0, 0]).map(drop)),
    uncertain("change its attributes", |place| {
        let name = c"user.test";
        call(libc::SYS_setxattr, &[at(&place.clip_path()), name.as_ptr() as c_long, name.as_ptr() as c_long, 1, 0])
            .map(drop)
    }),
    certain("rename it", |place| {
        call(libc::SYS_renameat2, &[CWD, at(&place.path("movable")), CWD, at(&place.path("moved")), 0]).map(drop)
    }),
    certain("link it", |place| {
        call(libc::SYS_linkat, &[CWD, at(&place.clip_path()), CWD, at(&place.path("link")), 0]).map(drop)
    }),
    certain("make a symbolic link", |place| std::os::unix::fs::symlink(&place.clip, place.dir.join("symlink"))),
    certain("lock it", |place| {
        let file = File::open(&place.clip)?;
        call(libc::SYS_flock, &[c_long::from(file.as_raw_fd()), c_long::from(libc::LOCK_SH)]).map(drop)
    }),
    certain("change its flags", |place| {
        let file = File::open(&place.clip)?;
        let mut bytes: c_int = 0;
        call(libc::SYS_ioctl, &[c_long::from(file.as_raw_fd()), libc::FIONREAD as c_long, &raw mut bytes as c_long])
            .map(drop)
    }),
    certain("watch it", |_| call(libc::SYS_inotify_init1, &[]).map(drop)),
    // The network.
    certain("connect", |place| TcpStream::connect(("127.0.0.1", place.port)).map(drop)),
    certain("listen", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    certain("send datagrams", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    certain("a local socket", |place| std::os::unix::net::UnixListener::bind(place.dir.join("socket")).map(drop)),
    certain("a pair of sockets", |_| std::os::unix::net::UnixStream::pair().map(drop)),
    certain("netlink", |_| {
        call(libc::SYS_socket, &[c_long::from(libc::AF_NETLINK), c_long::from(libc::SOCK_RAW), 0]).map(drop)
    }),
    // New processes. Containers refuse some calls themselves.
    certain("start a program", |_| Command::new("/bin/true").status().map(drop)),
    certain("fork", |_| match call(libc::SYS_clone, &[c_long::from(libc::SIGCHLD)])? {
        // SAFETY: ends the copy at once, without running anything of the original.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }),
    uncertain("become another program", |_| {
        call(libc::SYS_execve, &[c"/nonexistent".as_ptr() as c_long, 0, 0]).map(drop)
    }),
    // Other processes.
    certain("kill", |place| call(libc::SYS_kill, &[place.victim, 0]).map(drop)),
    certain("tkill", |place| call(libc::SYS_tkill, &[place.victim, 0]).map(drop)),
    certain("tgkill", |place| call(libc::SYS_tgkill, &[place.victim, place.victim, 0]).map(drop)),
    certain("rt_sigqueueinfo", |place| {
        let info = signal_info();
        call(libc::SYS_rt_sigqueueinfo, &[place.victim, 0, info.as_ptr() as c_long]).map(drop)
    }),
    certain("rt_tgsigqueueinfo", |place| {
        let info = signal_info();
        call(libc::SYS_rt_tgsigqueueinfo, &[place.victim, place.victim, 0, info.as_ptr() as c_long]).map(drop)
    }),
    certain("pidfd_open", |place| call(libc::SYS_pidfd_open, &[place.victim, 0]).map(drop)),
    certain("signals from a file", |place| {
        let file = File::open(&place.clip)?;
        call(libc::SYS_fcntl, &[c_long::from(file.as_raw_fd()), c_long::from(libc::F_SETOWN), place.victim]).map(drop)
    }),
    certain("read another's limits", |place| {
        let mut limit = [0u64; 2];
        call(libc::SYS_prlimit64, &[place.victim, 7, 0, limit.as_mut_ptr() as c_long]).map(drop)
    }),
    // To the least, which is no more than anybody has.
    certain("another's priority", |place| call(libc::SYS_setpriority, &[0, place.victim, 19]).map(drop)),
    certain("another's processors", |place| {
        let all = [u64::MAX; 16];
        call(libc::SYS_sched_setaffinity, &[place.victim, 128, all.as_ptr() as c_long]).map(drop)
    }),
    uncertain("read another's memory", |place| {
        call(libc::SYS_process_vm_readv, &[place.victim, 0, 0, 0, 0, 0]).map(drop)
    }),
    uncertain("trace another", |place| {
        call(libc::SYS_ptrace, &[0x4206, place.victim, 0, 0])?;
        call(libc::SYS_ptrace, &[c_long::from(libc::PTRACE_DETACH), place.victim, 0, 0]).map(drop)
    }),
    uncertain("compare with another", |place| call(libc::SYS_kcmp, &[place.victim, place.victim, 0, 0, 0]).map(drop)),
    // Shared memory and queues.
    certain("System V shared memory", |_| {
        let id = call(libc::SYS_shmget, &[0, 4096, 0o1600])?;
        call(libc::SYS_shmctl, &[id, c_long::from(libc::IPC_RMID), 0]).map(drop)
    }),
    certain("System V semaphores", |_| {
        let id = call(libc::SYS_semget, &[0, 1, 0o1600])?;
        call(libc::SYS_semctl, &[id, 0, c_long::from(libc::IPC_RMID), 0]).map(drop)
    }),
    certain("System V queues", |_| {
        let id = call(libc::SYS_msgget, &[0, 0o1600])?;
        call(libc::SYS_msgctl, &[id, c_long::from(libc::IPC_RMID), 0]).map(drop)
    }),
    uncertain("POSIX shared memory", |_| {
        let path = PathBuf::from(format!("/dev/shm/llava-video-test-{}", std::process::id()));
        File::create(&path)?;
        fs::remove_file(path)
    }),
    uncertain("POSIX queues", |_| {
        let flags = c_long::from(libc::O_CREAT | libc::O_RDWR);
        call(libc::SYS_mq_open, &[c"llava-video-test".as_ptr() as c_long, flags, 0o600, 0])?;
        call(libc::SYS_mq_unlink, &[c"llava-video-test".as_ptr() as c_long]).map(drop)
    }),
    certain("memory as a file", |_| call(libc::SYS_memfd_create, &[c"m".as_ptr() as c_long, 0]).map(drop)),
    // Raising its own limits, and the rest of the kernel.
    certain("set its own memory limit", |_| {
        let mut limit = [0u64; 2];
        call(libc::SYS_prlimit64, &[0, c_long::from(libc::RLIMIT_AS), 0, limit.as_mut_ptr() as c_long])?;
        call(libc::SYS_prlimit64, &[0, c_long::from(libc::RLIMIT_AS), limit.as_ptr() as c_long, 0]).map(drop)
    }),
    certain("change directory", |_| std::env::set_current_dir("/")),
    certain("personality", |_| call(libc::SYS_personality, &[0xffff_ffff]).map(drop)),
    certain("another filter", |_| {
        let action = libc::SECCOMP_RET_ALLOW;
        let query = c_long::from(libc::SECCOMP_GET_ACTION_AVAIL);
        call(libc::SYS_seccomp, &[query, 0, &raw const action as c_long]).map(drop)
    }),
    uncertain("clone3", |_| match call(libc::SYS_clone3, &[0, 0]) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other.map(drop),
    }),
    uncertain("unshare", |_| call(libc::SYS_unshare, &[c_long::from(libc::CLONE_FS)]).map(drop)),
    uncertain("mount", |_| call(libc::SYS_mount, &[0, 0, 0, 0, 0]).map(drop)),
    uncertain("io_uring", |_| call(libc::SYS_io_uring_setup, &[1, 0]).map(drop)),
    uncertain("bpf", |_| call(libc::SYS_bpf, &[0, 0, 0]).map(drop)),
    uncertain("perf_event_open", |_| call(libc::SYS_perf_event_open, &[0, 0, 0, 0, 0]).map(drop)),
    uncertain("userfaultfd", |_| call(libc::SYS_userfaultfd, &[0]).map(drop)),
    uncertain("keys", |_| call(libc::SYS_keyctl, &[0, -3, 0]).map(drop)),
    uncertain("file handles", |place| {
        call(libc::SYS_name_to_handle_at, &[CWD, at(&place.clip_path()), 0, 0, 0]).map(drop)
    }),
];

/// A `siginfo_t` of a signal that `sigqueue` sends.
fn signal_info() -> [c_int; 32] {
    let mut info = [0; 32];
    info[2] = -1;
    info
}

/// A new directory with a clip and other files in it.
fn place(parent: &Path, name: &str, port: u16, victim: u32) -> Place {
    let dir = parent.join(name);
    fs::create_dir(&dir).unwrap();
    let copy = dir.join("clip.mp4");
    fs::copy(clip("plain_h264.mp4"), &copy).unwrap();
    for other in ["other", "removable", "movable", "emptied"] {
        fs::write(dir.join(other), "data").unwrap();
    }
    Place { dir, clip: copy, port, victim: c_long::from(victim) }
}

/// Tries everything in `open`, confines itself to the clip in `closed`, and tries everything again there.
fn try_everything(open: &Place, closed: &Place) {
    // The harness may not be able to print any more; standard error is the process's own.
    let mut stderr = std::io::stderr().lock();
    for attempt in ATTEMPTS {
        match (attempt.make)(open) {
            Ok(()) => writeln!(stderr, "before: {}: works", attempt.what),
            Err(error) => writeln!(stderr, "before: {}: {error}", attempt.what),
        }
        .unwrap();
    }
    std::env::set_current_dir(&closed.dir).unwrap();
    writeln!(stderr, "missing: {:?}", confine(&closed.clip, CPU_SECS)).unwrap();
    for attempt in ATTEMPTS {
        // An error of another kind would be one for another reason.
        let refusals = [libc::ENOSYS, libc::EPERM, libc::EACCES];
        match (attempt.make)(closed) {
            Err(error) if error.raw_os_error().is_some_and(|code| refusals.contains(&code)) => {
                writeln!(stderr, "after: {}: refused", attempt.what)
            }
            other => writeln!(stderr, "after: {}: {other:?}", attempt.what),
        }
        .unwrap();
    }
}

#[test]
fn everything_else_is_refused() {
    if let Some(part) = part() {
        let mut words = part.split('|');
        let mut word = || words.next().unwrap();
        let (dir, port, victim) = (PathBuf::from(word()), word().parse().unwrap(), word().parse().unwrap());
        try_everything(&place(&dir, "open", port, victim), &place(&dir, "closed", port, victim));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let victim = Running::start(Command::new("sleep").arg("100"));
    let port = listener.local_addr().unwrap().port();
    let (_, run) =
        play("everything_else_is_refused", &format!("{}|{port}|{}", dir.path().to_str().unwrap(), victim.id()));
    victim.kill();
    let report = &run.stderr;
    let says = |line: String| report.lines().any(|reported| reported == line);
    let files_are_kept_apart = !report.contains("other files can be read");
    for Attempt { what, is_certain, by_system_call, .. } in ATTEMPTS {
        assert!(!is_certain || says(format!("before: {what}: works")), "{what} does not even work without\n{report}");
        assert!(
            says(format!("after: {what}: refused")) || !(by_system_call | files_are_kept_apart),
            "{what} works\n{report}"
        );
    }
    if !files_are_kept_apart {
        skipped("other files", "this kernel has no landlock to keep them apart");
    }
    let left = fs::read(dir.path().join("closed/clip.mp4")).unwrap();
    assert!(left == fs::read(clip("plain_h264.mp4")).unwrap());
}

/// What decoding needs, on any C library: threads that come and go, memory that grows, clocks, chance.
#[test]
fn what_decoding_needs_is_left() {
    if part().is_some() {
        let clip = clip("plain_h264.mp4");
        confine(&clip, CPU_SECS);
        for round in 0..20 {
            let work = &|number: usize| {
                let mut bytes = Vec::new();
                // Small and large pieces: the heap, an arena of the thread's own, mmap and mremap.
                for size in [10, 1000, 100_000, 10_000_000] {
                    bytes.resize(size + number, 1u8);
                }
                bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>()
                    + File::open(&clip).unwrap().read(&mut bytes).unwrap()
            };
            std::thread::scope(|scope| {
                let start = |number| {
                    let builder = std::thread::Builder::new().name(format!("worker {round}"));
                    builder.spawn_scoped(scope, move || work(number)).unwrap()
                };
                let threads: Vec<_> = (0..4).map(start).collect();
                threads.into_iter().for_each(|thread| assert!(thread.join().unwrap() > 10_000_000));
            });
        }
        let started = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        assert!(started.elapsed() >= Duration::from_millis(1));
        assert!(fs::metadata(&clip).unwrap().len() > 0);
        assert!(std::thread::available_parallelism().unwrap().get() > 0);
        assert!(std::panic::catch_unwind(|| std::hint::black_box(None::<u8>).expect("a panic")).is_err());
        let mut random = [0u8; 16];
        call(libc::SYS_getrandom, &[random.as_mut_ptr() as c_long, 16, 0]).unwrap();
        writeln!(std::io::stderr(), "all of it works").unwrap();
        return;
    }
    let (status, run) = play("what_decoding_needs_is_left", "child");
    assert!(status.success() && run.stderr.contains("all of it works"), "{run:?}");
}

#[test]
fn memory_and_open_files_are_limited() {
    if part().is_some() {
        let clip = clip("plain_h264.mp4");
        let reserve = |gib: c_long| {
            let flags = c_long::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
            let mapped = call(libc::SYS_mmap, &[0, gib << 30, c_long::from(libc::PROT_NONE), flags, -1, 0]);
            mapped.is_ok_and(|start| call(libc::SYS_munmap, &[start, gib << 30]).is_ok())
        };
        let open_many = || (0..100).map(|_| File::open(&clip)).take_while(Result::is_ok).collect::<Vec<_>>().len();
        let limit = |resource: c_long| {
            let mut limit = [0u64; 2];
            call(libc::SYS_prlimit64, &[0, resource, 0, limit.as_mut_ptr() as c_long]).map(|_| limit[1]).ok()
        };
        let before = (reserve(9), open_many());
        confine(&clip, CPU_SECS);
        let after = (reserve(9), reserve(1), open_many());
        let limits = (limit(c_long::from(libc::RLIMIT_CORE)), limit(c_long::from(libc::RLIMIT_FSIZE)));
        writeln!(std::io::stderr(), "{before:?} {after:?} {limits:?}").unwrap();
        return;
    }
    let (_, run) = play("memory_and_open_files_are_limited", "child");
    let line = run.stderr.lines().find(|line| line.starts_with("(true, 100) (false, true, "));
    let line = line.unwrap_or_else(|| panic!("{run:?}"));
    assert!(line.ends_with("(Some(0), Some(0))"), "{line}");
    let files: usize = line.rsplit_once("true, ").unwrap().1.split(')').next().unwrap().parse().unwrap();
    assert!((10..32).contains(&files), "{line}");
}

#[test]
fn processor_time_is_limited() {
    if part().is_some() {
        confine(&clip("plain_h264.mp4"), 1);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            std::hint::black_box(0);
        }
        return;
    }
    let (status, run) = play("processor_time_is_limited", "child");
    assert_eq!(status.signal(), Some(libc::SIGXCPU), "{run:?}");
}

/// The parent tells an abort from a crash by the signal.
#[test]
fn an_abort_is_seen_as_one() {
    if part().is_some() {
        confine(&clip("plain_h264.mp4"), CPU_SECS);
        std::process::abort();
    }
    let (status, run) = play("an_abort_is_seen_as_one", "child");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{run:?}");
}

/// Files that were open in the process that started the program, a secret of the shell's for example.
#[test]
fn what_was_open_before_is_closed() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let binary = env!("CARGO_BIN_EXE_llava-video");
    let script = format!("exec 7<'{}' 9<'{0}'; exec '{binary}' decode-worker", secret.path().display());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut guarded = Guarded(command.spawn().unwrap());
    let child = &mut guarded.0;
    let clip = clip("plain_h264.mp4");
    child.stdin.as_mut().unwrap().write_all(&wire::open(&clip)).unwrap();
    let (reply, _) = read_message(child.stdout.as_mut().unwrap());
    assert!(reply["Opened"]["info"]["frame_count"].as_u64() > Some(0), "{reply}");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let open: Vec<PathBuf> = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok()).collect();
    assert!(open.contains(&clip.canonicalize().unwrap()), "{open:?}");
    assert!(!open.iter().any(|path| path == secret.path()), "{open:?}");
}

/// More links than files may be open at a time.
#[test]
fn a_directory_may_hold_many_links() {
    let dir = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    for number in 0..60 {
        let picture = target.path().join(format!("{number}.png"));
        image::RgbImage::from_pixel(2, 2, image::Rgb([number * 4, 0, 0])).save(&picture).unwrap();
        std::os::unix::fs::symlink(&picture, dir.path().join(format!("{number}.png"))).unwrap();
    }
    let run = llava_video(["frames", dir.path().to_str().unwrap(), "--frames", "60"]);
    assert_eq!(run.stdout_of_success().lines().count(), 60);
}
