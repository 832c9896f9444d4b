use std::collections::BTreeSet;
use std::time::Duration;

use candle_core::Device;
use serde_json::json;

use super::super::key::tests::numbered_key;
use super::*;

const DEFAULT: u64 = super::super::DEFAULT_CAP_BYTES;

struct Scene {
    dir: tempfile::TempDir,
    clip: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clip = dir.path().join("clip");
        std::fs::write(&clip, "frames").expect("a clip");
        Self { dir, clip }
    }

    fn cache(&self, cap_bytes: u64) -> VisualCache {
        VisualCache::open(self.dir.path().join("cache"), cap_bytes).expect("a folder, or none yet")
    }

    fn key(&self, number: usize) -> Key {
        numbered_key(&self.clip, number)
    }
}

/// Tokens of so many rows that no other number has.
fn tokens(key: &Key, number: usize) -> Tensor {
    Tensor::full(number as f32, (2, key.width()), &Device::Cpu).expect("the CPU")
}

fn put(cache: &VisualCache, key: &Key, number: usize) -> Result<(), Error> {
    cache.put(key, &tokens(key, number), &json!({ "number": number }))
}

/// The number of an entry whose tokens and facts are all of it.
fn number(entry: Entry) -> Result<usize, String> {
    let values: BTreeSet<u32> = entry
        .tokens
        .flatten_all()
        .and_then(|all| all.to_vec1::<f32>())
        .expect("f32")
        .iter()
        .map(|x| *x as u32)
        .collect();
    let number = entry.facts["number"].as_u64().ok_or("no number")?;
    (values == BTreeSet::from([number as u32])).then_some(number as usize).ok_or_else(|| "mixed".to_owned())
}

fn get(cache: &VisualCache, key: &Key) -> Option<usize> {
    match cache.get(key, number) {
        Lookup::Hit(number) => Some(number),
        Lookup::Miss => None,
        Lookup::Unusable(error) => panic!("{error}"),
    }
}

/// Bytes of an entry that [`put`] writes.
fn entry_bytes(scene: &Scene) -> u64 {
    let key = scene.key(1);
    Encoded::new(&key, &tokens(&key, 1), &json!({ "number": 1 })).expect("floats").bytes()
}

#[test]
fn what_was_put_is_got_until_it_is_cleared() {
    let scene = Scene::new();
    let cache = scene.cache(DEFAULT);
    let keys = [1, 2].map(|number| scene.key(number));
    assert_eq!((get(&cache, &keys[0]), cache.clear().expect("nothing to do")), (None, Freed::default()));
    assert!(!cache.dir().exists(), "asking makes no folder");
    put(&cache, &keys[0], 1).expect("kept");
    put(&cache, &keys[1], 2).expect("kept");
    put(&cache, &keys[1], 2).expect("kept again");
    assert_eq!([&keys[0], &keys[1]].map(|key| get(&cache, key)), [Some(1), Some(2)]);
    let usage = cache.usage().expect("readable");
    assert_eq!(usage, Usage { entries: 2, bytes: 2 * entry_bytes(&scene), unfinished_bytes: 0 });
    assert_eq!(cache.clear().expect("removable"), Freed { entries: 2, bytes: usage.bytes });
    assert_eq!([&keys[0], &keys[1]].map(|key| get(&cache, key)), [None, None]);
}

#[test]
fn the_cap_holds_and_a_hit_counts_as_a_use() {
    let scene = Scene::new();
    let bytes = entry_bytes(&scene);
    let cache = scene.cache(3 * bytes);
    let keys: Vec<Key> = (1..=5).map(|number| scene.key(number)).collect();
    let age = |key: &Key, secs: u64| {
        let file = File::options().write(true).open(cache.folder.entry(key.name())).expect("an entry");
        file.set_modified(SystemTime::now() - Duration::from_secs(secs)).expect("our own");
    };
    for (at, key) in keys.iter().enumerate().take(3) {
        put(&cache, key, at + 1).expect("kept");
        age(key, 100 - at as u64);
    }
    assert_eq!(get(&cache, &keys[0]), Some(1), "now the second is the oldest");
    put(&cache, &keys[3], 4).expect("kept");
    let held = |cache: &VisualCache| keys.iter().map(|key| cache.folder.entry(key.name()).exists()).collect::<Vec<_>>();
    assert_eq!(held(&cache), [true, false, true, true, false]);
    // An entry that is replaced takes no second place.
    put(&cache, &keys[3], 4).expect("kept");
    assert_eq!(held(&cache), [true, false, true, true, false]);
    age(&keys[0], 50);
    let smaller = scene.cache(2 * bytes + bytes / 2);
    assert_eq!(smaller.prune().expect("removable"), Freed { entries: 1, bytes });
    assert_eq!(held(&cache), [true, false, false, true, false]);
    let tiny = scene.cache(bytes - 1);
    assert!(matches!(put(&tiny, &keys[4], 5), Err(Error::TooLarge { .. })));
    assert_eq!(held(&cache), [true, false, false, true, false], "nothing goes for what does not fit anyway");
}

#[test]
fn what_is_damaged_is_a_warning_and_then_a_miss() {
    let scene = Scene::new();
    let cache = scene.cache(DEFAULT);
    let (key, other) = (scene.key(1), scene.key(2));
    let path = cache.folder.entry(key.name());
    let damage: [&dyn Fn(); 4] = [
        &|| {
            let mut bytes = std::fs::read(&path).expect("an entry");
            *bytes.last_mut().expect("bytes") ^= 1;
            std::fs::write(&path, bytes).expect("writable");
        },
        &|| File::options().write(true).open(&path).and_then(|file| file.set_len(100)).expect("writable"),
        &|| File::create(&path).map(drop).expect("writable"),
        &|| {
            put(&cache, &other, 2).expect("kept");
            std::fs::rename(cache.folder.entry(other.name()), &path).expect("writable");
        },
    ];
    for (at, damage) in damage.iter().enumerate() {
        put(&cache, &key, 1).expect("kept");
        damage();
        let Lookup::Unusable(error) = cache.get(&key, number) else { panic!("{at}: it was believed") };
        assert!(matches!(&error, Error::Damaged { path: named, .. } if *named == path), "{at}: {error}");
        assert_eq!((get(&cache, &key), path.exists()), (None, false), "{at}");
    }
    put(&cache, &key, 1).expect("kept");
    let refused = cache.get(&key, |_| Err::<(), _>("not as asked".to_owned()));
    assert!(matches!(refused, Lookup::Unusable(Error::Damaged { what, .. }) if what == "not as asked"));
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn what_the_cache_did_not_make_is_left_alone() {
    let scene = Scene::new();
    let cache = scene.cache(DEFAULT);
    let (key, other) = (scene.key(1), scene.key(2));
    put(&cache, &key, 1).expect("kept");
    // A link to a sound entry, even so.
    let (path, elsewhere) = (cache.folder.entry(key.name()), scene.dir.path().join("elsewhere"));
    std::fs::rename(&path, &elsewhere).and_then(|()| std::os::unix::fs::symlink(&elsewhere, &path)).expect("a link");
    std::fs::create_dir(cache.folder.entry(other.name())).expect("a folder");
    for key in [&key, &other] {
        assert!(matches!(cache.get(key, number), Lookup::Unusable(Error::Foreign { .. })));
        assert!(matches!(put(&cache, key, 1), Err(Error::Foreign { .. })));
    }
    std::fs::write(cache.dir().join("notes.txt"), "mine").expect("a file");
    assert_eq!(cache.clear().expect("nothing to do"), Freed::default());
    assert!(path.is_symlink() && elsewhere.exists() && cache.dir().join("notes.txt").exists());
    assert!(cache.folder.entry(other.name()).is_dir());
}

#[test]
fn tokens_of_a_clip_that_changed_meanwhile_are_not_kept() {
    let scene = Scene::new();
    let cache = scene.cache(DEFAULT);
    let key = scene.key(1);
    std::fs::write(&scene.clip, "other frames").expect("a clip");
    assert!(matches!(put(&cache, &key, 1), Err(Error::Changed { path }) if path == scene.clip));
    assert!(!cache.dir().exists());
}

#[test]
fn threads_that_read_write_and_evict_at_once_see_whole_entries() {
    let scene = Scene::new();
    let keys: Vec<Key> = (1..=6).map(|number| scene.key(number)).collect();
    let cap_bytes = 4 * entry_bytes(&scene);
    let cache = scene.cache(cap_bytes);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cache, keys) = (&cache, &keys);
            scope.spawn(move || {
                for round in 0..60 {
                    let at = (7 * thread + round * (thread + 1)) % keys.len();
                    match get(cache, &keys[at]) {
                        Some(number) => assert_eq!(number, at + 1),
                        None => put(cache, &keys[at], at + 1).expect("kept"),
                    }
                    if round % 20 == 19 {
                        cache.prune().expect("removable");
                    }
                    let _lock = cache.folder.lock().expect("held for moments");
                    assert!(cache.usage().expect("readable").bytes <= cap_bytes);
                }
            });
        }
    });
    assert_eq!(cache.usage().expect("readable").unfinished_bytes, 0);
}

#[test]
fn the_same_key_put_by_several_at_once_is_one_entry() {
    let scene = Scene::new();
    let (cache, key) = (scene.cache(DEFAULT), scene.key(1));
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| put(&cache, &key, 1).expect("kept"))));
    });
    assert_eq!((get(&cache, &key), cache.usage().expect("readable").entries), (Some(1), 1));
    let names: Vec<_> = std::fs::read_dir(cache.dir()).expect("a folder").map(|file| file.expect("a file")).collect();
    assert_eq!(names.len(), 2, "the entry and the lock: {names:?}");
}
