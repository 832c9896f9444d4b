//! Claims among processes that are killed and stopped: this test program starts itself as the others.

use std::process::{Child, Command};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::tests::{DIGEST, JOB, OK, PACE, Place, append, ids, mine_in_time, work};
use super::*;

/// What a process started by these tests is to do: the role, the folder, the output, the seed.
const PART: &str = "LLAVA_VIDEO_TEST_CLAIMS";
const INPUTS: usize = 64;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn start(role: &str, place: &Place, output: &str, seed: u64) -> Child {
    let module = module_path!().split_once("::").expect("inside a crate").1;
    let part = [role.to_owned(), place.claims().display().to_string(), place.output(output).display().to_string()];
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("{module}::other_process"), "--nocapture", "--quiet"])
        .env(PART, format!("{}\n{seed}", part.join("\n")))
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Not a test, but what the other processes do.
#[test]
fn other_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let [role, dir, output, seed] = part.split('\n').collect::<Vec<_>>().try_into().expect("four parts");
    let output = Path::new(output);
    // Without its process others have nothing but its heartbeat.
    let process = process::Process::this().filter(|_| role == "seen");
    let claims = Claims::join_as(Path::new(dir), DIGEST, output, PACE, false, process).expect("it joins");
    if role == "stopped" {
        let lease = mine_in_time(&claims, "x");
        std::fs::write(output.with_extension("took"), "").expect("a file");
        wait_for(&output.with_extension("go"));
        if claims.may_write(lease).expect("the folder is there").is_some() {
            append(output, "x", OK);
        }
        return;
    }
    let mut random = Random(seed.parse().expect("a number"));
    work(&claims, &ids(INPUTS), output, || std::thread::sleep(Duration::from_millis(random.below(30))));
    claims.leave().expect("it leaves");
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Eight work, three of them are killed, and two join late: each input is answered once. Returns how many items were
/// taken over.
fn killed_round(seed: u64) -> usize {
    let place = Place::new();
    let role = if seed.is_multiple_of(2) { "seen" } else { "by its heartbeat" };
    let mut random = Random(seed);
    let mut all: Vec<Child> = (0..8).map(|i| start(role, &place, &i.to_string(), 100 * seed + i)).collect();
    wait_for(&place.output("0"));
    for killed in 0..3 {
        std::thread::sleep(Duration::from_millis(random.below(60)));
        let mut child = all.swap_remove(random.below(8 - killed) as usize);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
    all.extend((8..10).map(|i| start(role, &place, &i.to_string(), 100 * seed + i)));
    for mut child in all {
        assert!(child.wait().expect("it is ours").success(), "seed {seed}");
    }
    let answered = place.answered();
    assert_eq!(answered.len(), INPUTS, "seed {seed}: some are lost");
    assert!(answered.values().all(|&count| count == 1), "seed {seed}: {answered:?}");
    let third = |id: &String| Key::of(id, JOB).step(&place.claims(), 3).exists();
    ids(INPUTS).iter().filter(|id| third(id)).count()
}

#[test]
fn eight_processes_of_which_three_are_killed_answer_each_input_once() {
    let taken_over: usize = (0..20).map(killed_round).sum();
    assert!(taken_over > 10, "{taken_over} in 20 rounds: the kills hit nothing");
}

#[test]
fn a_process_that_was_stopped_until_it_was_stale_does_not_write() {
    for taken in [true, false] {
        let place = Place::new();
        let mut child = start("stopped", &place, "a", 0);
        let pid = Pid::from_child(&child);
        wait_for(&place.output("a").with_extension("took"));
        kill_process(pid, Signal::STOP).expect("it is ours");
        let claims = Claims::join(&place.claims(), DIGEST, &place.output("b"), PACE, false).expect("it joins");
        let lease = taken.then(|| mine_in_time(&claims, "x"));
        std::fs::write(place.output("a").with_extension("go"), "").expect("a file");
        kill_process(pid, Signal::CONT).expect("it is ours");
        assert!(child.wait().expect("it is ours").success());
        match lease {
            None => assert_eq!(place.answered().len(), 1, "nobody took it: it goes on"),
            Some(lease) => {
                assert!(place.answered().is_empty());
                assert!(claims.may_write(lease).expect("the folder is there").is_some());
            }
        }
    }
}
