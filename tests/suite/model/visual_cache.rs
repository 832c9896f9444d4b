//! Visual tokens on disk under what befalls a folder: several processes at once, kills, full and read-only disks, file
//! systems without locks; and `cache info`, `clear` and `prune`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use candle_core::{Device, Tensor};
use llava_video::checkpoint::{Checkpoint, Identity};
use llava_video::demo;
use llava_video::device::{DeviceName, DtypeRequest, Placement};
use llava_video::engine::visual_cache::{
    AskedFrames, Content, Entry, Error, Freed, Key, KeyParts, Lookup, VisualCache,
};
use llava_video::engine::{AskOptions, ClipRequest, Engine, EngineOptions, Media, PlannedClip};
use llava_video::interrupt::Interrupt;
use serde_json::json;

use crate::support;
use crate::support::process::{PATIENCE, Running, limit_file_size};
use crate::support::small_disk::SmallDisk;
use crate::support::{Random, Run, command, plain, run, tiny_checkpoint};

/// Keys of one clip that differ in the number of frames.
const KEYS: usize = 5;

/// Rows of tokens of an entry: enough that writing one takes a while.
const ROWS: usize = 20_000;

const NO_CAP: u64 = u64::MAX;

/// How [`works_on_the_cache_of_another_test`] is told what to do.
const WORK: &str = "LLAVA_VIDEO_TEST_WORK";
const DIR: &str = "LLAVA_VIDEO_TEST_DIR";
const CLIP: &str = "LLAVA_VIDEO_TEST_CLIP";

fn keys(clip: &Path) -> Vec<Key> {
    let dir = tiny_checkpoint();
    let checkpoint = Checkpoint::open(&dir, &[]).unwrap();
    let identity = Identity::of(&checkpoint).unwrap();
    let content = Content::of(clip, &Interrupt::default()).unwrap();
    let placement = Placement::open(DeviceName::Cpu, DtypeRequest::F32).unwrap();
    let key = |max_frames| {
        Key::new(&KeyParts {
            content: &content,
            frames: AskedFrames::Part { start_secs: 0.0, end_secs: f64::INFINITY, max_frames, fps: None },
            image_fps: 1.0,
            is_strict: false,
            checkpoint: &checkpoint,
            identity: &identity,
            scheme: None,
            placement: &placement,
        })
    };
    (1..=KEYS).map(key).collect()
}

fn width() -> usize {
    Checkpoint::open(tiny_checkpoint(), &[]).unwrap().config.language.hidden_size
}

/// Tokens and facts of which every part tells the number.
fn put(cache: &VisualCache, keys: &[Key], number: usize) -> Result<(), Error> {
    let tokens = Tensor::full(number as f32, (ROWS, width()), &Device::Cpu).unwrap();
    cache.put(&keys[number], &tokens, &json!({ "number": number }))
}

/// Whether an entry is there; what is there must be whole and of its number.
#[track_caller]
fn holds(cache: &VisualCache, keys: &[Key], number: usize) -> bool {
    let accept = |entry: Entry| {
        let values = entry.tokens.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(values.len() == ROWS * width() && values.iter().all(|&value| value == number as f32), "{number}");
        assert_eq!(entry.facts["number"], number);
        Ok(())
    };
    match cache.get(&keys[number], accept) {
        Lookup::Hit(()) => true,
        Lookup::Miss => false,
        Lookup::Unusable(error) => panic!("{error}"),
    }
}

struct Scene {
    dir: tempfile::TempDir,
    clip: PathBuf,
    keys: Vec<Key>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clip = dir.path().join("clip.mp4");
        std::fs::write(&clip, "as far as the cache knows").unwrap();
        let keys = keys(&clip);
        Self { dir, clip, keys }
    }

    fn cache_dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn cache(&self) -> VisualCache {
        VisualCache::open(self.cache_dir(), NO_CAP).unwrap()
    }

    /// Another process that works on this cache.
    fn worker(&self, work: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "model::visual_cache::works_on_the_cache_of_another_test",
            "--ignored",
            "--nocapture",
        ]);
        command.env(WORK, work).env(DIR, self.cache_dir()).env(CLIP, &self.clip).stdin(Stdio::null());
        command
    }

    /// A run of the program with this cache.
    fn llava_video(&self, args: &[&str]) -> Run {
        run(command().args(args).env("LLAVA_VIDEO_CACHE", self.cache_dir()).env_remove("LLAVA_VIDEO_CACHE_SIZE"))
    }

    /// What lies in the folder, beside entries and the lock; a writer that was killed early has made none.
    fn others(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.cache_dir()).into_iter().flatten();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".safetensors") && name != ".lock").collect()
    }
}

#[test]
#[ignore = "other tests run it in processes of their own"]
fn works_on_the_cache_of_another_test() {
    let scene;
    let variable = |name| std::env::var_os(name);
    let (dir, keys) = match (variable(DIR), variable(CLIP)) {
        (Some(dir), Some(clip)) => (PathBuf::from(dir), keys(Path::new(&clip))),
        _ => {
            scene = Scene::new();
            (scene.cache_dir(), keys(&scene.clip))
        }
    };
    let entry_bytes = (ROWS * width() * 4 + 10_000) as u64;
    match variable(WORK).as_ref().and_then(|work| work.to_str()) {
        // Room for all but one, so that writing one removes one.
        Some("write for ever") => {
            let cache = VisualCache::open(dir, (KEYS as u64 - 1) * entry_bytes).unwrap();
            writeln!(std::io::stdout(), "begins").unwrap();
            for round in 0..usize::MAX {
                put(&cache, &keys, round % KEYS).unwrap();
            }
        }
        Some("share") => {
            let cache = VisualCache::open(dir, 3 * entry_bytes).unwrap();
            for round in 0..30 {
                let number = (round * (1 + std::process::id() as usize % 4)) % KEYS;
                if !holds(&cache, &keys, number) {
                    put(&cache, &keys, number).unwrap();
                }
            }
        }
        Some("ask alike") => {
            let cache = VisualCache::open(dir, NO_CAP).unwrap();
            if !holds(&cache, &keys, 0) {
                put(&cache, &keys, 0).unwrap();
            }
            assert!(holds(&cache, &keys, 0));
        }
        Some("fail") => {
            let error = put(&VisualCache::open(dir, NO_CAP).unwrap(), &keys, 0).unwrap_err();
            writeln!(std::io::stdout(), "failed: {:#}", anyhow::Error::from(error)).unwrap();
        }
        Some(other) => panic!("unknown work: {other}"),
        None => {
            let cache = VisualCache::open(dir, NO_CAP).unwrap();
            put(&cache, &keys, 0).unwrap();
            assert!(holds(&cache, &keys, 0));
        }
    }
}

/// Runs four processes at once, all of which must succeed.
fn four(worker: impl Fn() -> Command) {
    let workers: Vec<Running> = (0..4).map(|_| Running::start(&mut worker())).collect();
    for worker in workers {
        let ended = worker.end_within(PATIENCE);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn four_processes_at_once_read_write_and_evict() {
    let scene = Scene::new();
    four(|| scene.worker("share"));
    let held = (0..KEYS).filter(|&number| holds(&scene.cache(), &scene.keys, number)).count();
    assert!((1..=3).contains(&held), "{held}");
    assert_eq!(scene.others(), [""; 0]);
}

#[test]
fn four_processes_that_ask_alike_leave_one_entry() {
    let scene = Scene::new();
    four(|| scene.worker("ask alike"));
    assert!(holds(&scene.cache(), &scene.keys, 0));
    assert_eq!((scene.cache().usage().unwrap().entries, scene.others()), (1, Vec::new()));
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_that_is_believed_and_wrong() {
    let scene = Scene::new();
    let (mut interrupted, mut written) = (0, 0);
    let mut random = Random::new(7);
    for kill in 0..30 {
        let mut writer = scene.worker("write for ever");
        let mut writer = writer.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("begins")), "{kill}: it never began");
        std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
        writer.kill().unwrap();
        writer.wait().unwrap();
        interrupted += usize::from(!scene.others().is_empty());
        written += (0..KEYS).filter(|&number| holds(&scene.cache(), &scene.keys, number)).count();
    }
    assert!(interrupted > 0 && written > 0, "{interrupted} kills while writing, {written} entries: nothing was tested");
    // Whoever writes next cleans up.
    put(&scene.cache(), &scene.keys, 0).unwrap();
    assert_eq!(scene.others(), [""; 0]);
}

#[test]
fn a_disk_without_room_keeps_what_it_has() {
    let scene = Scene::new();
    let bytes = 5 * (ROWS * width() * 4) as u64 / 2;
    let Some(disk) = SmallDisk::mount(&scene.cache_dir(), bytes, "a cache on a full disk") else { return };
    let cache = VisualCache::open(disk.path().join("a"), NO_CAP).unwrap();
    put(&cache, &scene.keys, 0).unwrap();
    put(&cache, &scene.keys, 1).unwrap();
    let error = put(&cache, &scene.keys, 2).unwrap_err();
    assert!(matches!(&error, Error::NoSpace(_)), "{error}");
    assert!(error.hint().unwrap().contains("cache clear"));
    assert!(holds(&cache, &scene.keys, 0) && holds(&cache, &scene.keys, 1) && !holds(&cache, &scene.keys, 2));
    assert_eq!(cache.usage().unwrap().unfinished_bytes, 0);
}

/// Room that was there at the beginning and is not at the end.
#[test]
fn an_entry_that_cannot_be_ended_is_not_left_behind() {
    let scene = Scene::new();
    let mut worker = scene.worker("fail");
    limit_file_size(&mut worker, 100_000);
    let ended = run(&mut worker);
    assert!(ended.stdout_of_success().contains("failed: cannot write"), "{ended:?}");
    assert_eq!((scene.cache().usage().unwrap().entries, scene.others()), (0, Vec::new()));
}

#[test]
fn a_read_only_folder_can_be_read() {
    let scene = Scene::new();
    let Some(mut disk) = SmallDisk::mount(&scene.cache_dir(), 64 << 20, "a cache in a read-only folder") else {
        return;
    };
    let cache = VisualCache::open(disk.path().join("a"), NO_CAP).unwrap();
    put(&cache, &scene.keys, 0).unwrap();
    let (entry, bytes) = damaged_copy(&cache, &scene.keys);
    disk.make_read_only();
    assert!(holds(&cache, &scene.keys, 0));
    let error = put(&cache, &scene.keys, 2).unwrap_err();
    assert!(matches!(&error, Error::Write { .. }), "{error}");
    // What cannot be removed is not believed all the same, as often as it is asked for.
    for _ in 0..2 {
        assert!(matches!(cache.get(&scene.keys[1], |_| Ok(())), Lookup::Unusable(Error::Damaged { .. })));
    }
    assert!(std::fs::read(entry).unwrap() == bytes);
    assert!(matches!(cache.clear(), Err(Error::Write { .. })));
    let elsewhere = VisualCache::open(disk.path().join("b"), NO_CAP).unwrap();
    assert!(matches!(put(&elsewhere, &scene.keys, 0), Err(Error::Write { .. })));
}

/// Puts an entry under the name of another key; returns where, and its bytes.
fn damaged_copy(cache: &VisualCache, keys: &[Key]) -> (PathBuf, Vec<u8>) {
    let path = |key: &Key| cache.dir().join(format!("{}.safetensors", key.name()));
    std::fs::copy(path(&keys[0]), path(&keys[1])).unwrap();
    (path(&keys[1]), std::fs::read(path(&keys[0])).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_without_locks_will_do() {
    use crate::support::denied::without_locks;
    let scene = Scene::new();
    four(|| {
        let mut worker = scene.worker("share");
        without_locks(&mut worker);
        worker
    });
    let held = (0..KEYS).filter(|&number| holds(&scene.cache(), &scene.keys, number)).count();
    assert!(held > 0 && scene.others().is_empty(), "{held}");
    // Nobody knows whether the writer of a young file lives; that of an old one does not.
    let partial = scene.cache_dir().join(format!(".{}.x.part", scene.keys[0].name()));
    let prune = || {
        let mut command = command();
        command.args(["cache", "prune"]).env("LLAVA_VIDEO_CACHE", scene.cache_dir());
        command.env_remove("LLAVA_VIDEO_CACHE_SIZE");
        assert_eq!(run(without_locks(&mut command)).code, Some(0));
        partial.exists()
    };
    std::fs::write(&partial, "half").unwrap();
    assert!(prune());
    let old = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    std::fs::File::options().write(true).open(&partial).unwrap().set_modified(old).unwrap();
    assert!(!prune());
}

/// Opened before it is replaced, a clip is hashed and decoded afterwards: tokens of one of the two would be kept under
/// the other's name.
#[test]
fn a_clip_that_is_replaced_once_it_is_open_leaves_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("clip.mp4");
    std::fs::copy(support::clip("clip1-h264.mp4"), &clip).unwrap();
    let cache = VisualCache::open(dir.path().join("cache"), NO_CAP).unwrap();
    let interrupt = Interrupt::default();
    let options = EngineOptions { visual_cache: Some(cache.clone()), ..EngineOptions::default() };
    let mut engine = Engine::open(&demo::source(), options, &interrupt).unwrap();
    let open =
        || Media::Clip(Box::new(PlannedClip::open(&ClipRequest::new(&clip, plain()), &interrupt, &mut ()).unwrap()));
    let mut ask = |media: &mut Media| {
        let answers = engine.ask(media, &["describe this video"], &AskOptions::default(), &mut ()).unwrap();
        answers[0].text.clone()
    };
    let mut opened = open();
    let other = dir.path().join("other.mp4");
    std::fs::copy(support::clip("clip3-mpeg4.mp4"), &other).unwrap();
    std::fs::rename(other, &clip).unwrap();
    ask(&mut opened);
    assert_eq!(cache.usage().unwrap().entries, 0);
    let first = ask(&mut open());
    assert_eq!(cache.usage().unwrap().entries, 1);
    assert_eq!(ask(&mut open()), first);
}

#[test]
fn info_clear_and_prune() {
    let scene = Scene::new();
    let nothing = scene.llava_video(&["cache", "info"]);
    assert!(nothing.stdout_of_success().contains(scene.cache_dir().to_str().unwrap()), "{nothing:?}");
    assert!(nothing.stdout.contains("0 B of at most 10.0 GB") && !scene.cache_dir().exists(), "{nothing:?}");

    (0..3).for_each(|number| put(&scene.cache(), &scene.keys, number).unwrap());
    // As a killed process leaves it.
    std::fs::write(scene.cache_dir().join(format!(".{}.x.part", scene.keys[3].name())), "half").unwrap();
    std::fs::write(scene.cache_dir().join("notes.txt"), "mine").unwrap();
    let info = scene.llava_video(&["cache", "info", "--json", "--cache-size", "1GB"]).json();
    let bytes = info["bytes"].as_u64().unwrap();
    assert_eq!((&info["entries"], &info["unfinished_bytes"]), (&3.into(), &4.into()));
    assert_eq!((&info["cap_bytes"], bytes / 3), (&1_000_000_000.into(), scene.cache().usage().unwrap().bytes / 3));
    assert!(scene.llava_video(&["cache", "info"]).stdout.contains("unfinished    4 B"));

    // The first was used last.
    assert!(holds(&scene.cache(), &scene.keys, 0));
    let mut prune = command();
    prune.args(["cache", "prune"]).env("LLAVA_VIDEO_CACHE", scene.cache_dir());
    let pruned = run(prune.env("LLAVA_VIDEO_CACHE_SIZE", (bytes / 3).to_string()));
    assert!(pruned.code == Some(0) && pruned.stderr.contains("removed 2 entries, "), "{pruned:?}");
    let held: Vec<bool> = (0..3).map(|number| holds(&scene.cache(), &scene.keys, number)).collect();
    assert_eq!((held, scene.others()), (vec![true, false, false], vec!["notes.txt".to_owned()]));

    let cleared = scene.llava_video(&["cache", "clear"]);
    assert!(cleared.code == Some(0) && cleared.stderr.contains("removed 1 entry, "), "{cleared:?}");
    assert!(!holds(&scene.cache(), &scene.keys, 0) && scene.cache_dir().join("notes.txt").exists());
    assert_eq!(scene.cache().clear().unwrap(), Freed::default());
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let scene = Scene::new();
    std::fs::write(scene.cache_dir(), "no folder").unwrap();
    let dir = scene.cache_dir();
    for args in [&["cache", "info"][..], &["cache", "clear"], &["cache", "prune"]] {
        let parts = [dir.to_str().unwrap(), "it is not a folder", "hint: ", "LLAVA_VIDEO_CACHE"];
        scene.llava_video(args).fails_with(&parts);
    }
    let wrong = scene.llava_video(&["cache", "prune", "--cache-size", "much"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("expected a size such as"), "{wrong:?}");
    let mut nowhere = command();
    nowhere.args(["cache", "info"]).env_remove("XDG_CACHE_HOME");
    let default = run(nowhere.env("HOME", scene.dir.path()));
    let shown = scene.dir.path().join(".cache/llava-video/visual-tokens");
    assert!(default.stdout_of_success().contains(shown.to_str().unwrap()), "{default:?}");
}
