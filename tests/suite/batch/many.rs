//! Many processes on one list: shards, and claims of which some are killed.

use super::workplace::{QUESTION, Workplace, ends_with, first_line, refused};
use crate::support::process::{PATIENCE, Running, wait_for};
use crate::support::{Run, run};

/// The arguments of one process.
fn args<'a>(output: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    [&["clips", "-o", output], &QUESTION[..], extra].concat()
}

/// Asserts that the joined output says what one process alone says.
#[track_caller]
fn joined_is_unsharded(place: &Workplace, outputs: &[&str]) {
    let run = place.merge(&[outputs, &["-o", "all.jsonl"]].concat());
    ends_with(&run, 0);
    ends_with(&place.batch(&args("alone.jsonl", &[])), 0);
    assert_eq!(place.said("all.jsonl"), place.said("alone.jsonl"));
}

#[test]
fn four_shards_give_together_what_one_process_gives() {
    let place = Workplace::with_clips(24);
    let outputs = ["0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl"];
    let shards = ["0/4", "1/4", "2/4", "3/4"];
    let start = |(output, shard)| place.start(&args(output, &["--shard", shard]));
    let running: Vec<Running> = outputs.into_iter().zip(shards).map(start).collect();
    running.into_iter().for_each(|running| ends_with(&running.end_within(PATIENCE), 0));
    for (output, shard) in outputs.iter().zip(shards) {
        let records = place.records(output);
        assert!(!records.is_empty() && records.iter().all(|record| record["shard"] == shard), "{records:?}");
    }
    // A missing one is named, and what is there is joined.
    let run = place.merge(&[&outputs[..3], &["-o", "three.jsonl"]].concat());
    refused(&run, 3, &["no output of 1 shard: 3/4"]);
    assert_eq!(place.said("three.jsonl").len() + place.said("3.jsonl").len(), 24);
    joined_is_unsharded(&place, &outputs);
    // The division is a part of the output.
    for extra in [&["--shard", "0/3"][..], &["--shard", "1/4"], &[]] {
        refused(&place.batch(&args("0.jsonl", extra)), 1, &["`0.jsonl` was written with shard 0/4 (line 1)"]);
    }
    let run = place.batch(&args("0.jsonl", &["--shard", "0/4"]));
    assert!(first_line(&run).ends_with(" 0 to do"), "{run:?}");
    ends_with(&place.batch(&args("5.jsonl", &["--shard", "1/3"])), 0);
    refused(
        &place.merge(&["0.jsonl", "5.jsonl", "-o", "mixed.jsonl"]),
        1,
        &["into 3 shards in `5.jsonl` and into 4 in `0.jsonl`"],
    );
    assert!(!place.path("mixed.jsonl").exists());
}

#[test]
fn a_shard_comes_from_the_cluster_or_is_refused() {
    let place = Workplace::with_clips(6);
    let go = |output: &str, shard: &str, variables: &[(&str, &str)]| {
        let mut command = place.command("batch", &args(output, &["--shard", shard]));
        run(command.envs(variables.iter().copied()))
    };
    let array = [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_MAX", "2")];
    let slurm = [&array[..], &[("SLURM_ARRAY_TASK_COUNT", "3"), ("SLURM_ARRAY_TASK_STEP", "1")]].concat();
    ends_with(&go("slurm.jsonl", "auto", &slurm), 0);
    ends_with(&go("given.jsonl", "1/3", &[]), 0);
    assert_eq!(place.said("slurm.jsonl"), place.said("given.jsonl"));
    ends_with(&go("pod.jsonl", "auto/3", &[("JOB_COMPLETION_INDEX", "1")]), 0);
    assert_eq!(place.said("pod.jsonl"), place.said("given.jsonl"));
    let partial = [&array[..], &[("SLURM_ARRAY_TASK_COUNT", "2"), ("SLURM_ARRAY_TASK_STEP", "1")]].concat();
    for (shard, variables) in [("auto", &[][..]), ("auto", &partial), ("3/3", &[]), ("x", &[])] {
        let run = go("refused.jsonl", shard, variables);
        assert_eq!(run.code, Some(2), "{shard}: {run:?}");
        assert!(run.stderr.contains("shard"), "{run:?}");
    }
    assert!(!place.path("refused.jsonl").exists());
}

/// Eight processes, of which three are killed in the middle; those start again, or stay dead.
fn eight_claiming_processes(clips: usize, start_again: bool) {
    let place = Workplace::with_clips(clips);
    let outputs: Vec<String> = (0..8).map(|index| format!("{index}.jsonl")).collect();
    let start = |output: &str| place.start(&args(output, &["--claim", "claims"]));
    let mut running: Vec<Option<Running>> = outputs.iter().map(|output| Some(start(output))).collect();
    for index in [1, 4, 6] {
        wait_for("records", PATIENCE, || {
            let written: usize = outputs.iter().map(|output| place.line_count(output)).sum();
            written > index
        });
        running[index].take().unwrap().kill();
        if start_again {
            running[index] = Some(start(&outputs[index]));
        }
    }
    let ends: Vec<Run> = running.into_iter().flatten().map(|running| running.end_within(3 * PATIENCE)).collect();
    ends.iter().for_each(|run| ends_with(run, 0));
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).filter(|output| place.path(output).exists()).collect();
    // What was claimed is in one output only, but for what a kill left between a record and its mark.
    let written: usize = outputs.iter().map(|output| place.records_but_torn(output).len()).sum();
    assert!((clips..=clips + 3).contains(&written), "{written} records of {clips} clips");
    assert!(outputs.iter().filter(|output| place.line_count(output) > 0).count() > 2, "they did not share");
    joined_is_unsharded(&place, &outputs);
}

#[test]
fn eight_claiming_processes_of_which_three_are_killed_and_started_again() {
    eight_claiming_processes(32, true);
}

#[test]
#[ignore = "waits for stale claims: `make test-long`"]
fn eight_claiming_processes_of_which_three_are_killed_for_good() {
    eight_claiming_processes(200, false);
}

#[test]
fn claims_are_one_run_s() {
    let place = Workplace::with_clips(2);
    let go = |output: &str, extra: &[&str]| place.batch(&args(output, &[&["--claim", "claims"], extra].concat()));
    ends_with(&go("a.jsonl", &[]), 0);
    assert_eq!(place.records("a.jsonl").len(), 2);
    // Another that comes later finds all done.
    ends_with(&go("b.jsonl", &[]), 0);
    assert_eq!(place.line_count("b.jsonl"), 0);
    refused(&go("c.jsonl", &["-n", "3"]), 1, &["holds the claims of a run with another model or other options"]);
    assert_eq!(go("c.jsonl", &["--shard", "0/2"]).code, Some(2));
    std::fs::create_dir(place.path("full")).unwrap();
    place.write("full/notes.txt", "");
    refused(&place.batch(&args("d.jsonl", &["--claim", "full"])), 1, &["is not empty and holds no claims"]);
}
