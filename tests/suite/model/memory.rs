//! Which device holds what: the memory plan before loading, and layers divided over devices.

use candle_core::DType;
use llava_video::checkpoint::{Checkpoint, Source};
use llava_video::device::{DeviceMap, DeviceName, DtypeRequest, Placement};
use llava_video::memory::{self, Demand, MemoryPlan, Room, Split, StageBytes};

use crate::support::{CheckpointCopy, Run, ask, clip_arg, device, generate_checkpoint, tiny_checkpoint};

fn ask_why(extra: &[&str]) -> Run {
    ask(&[&clip_arg("plain_h264.mp4"), "Why?"], extra)
}

#[test]
fn layers_over_two_slots_answer_as_one_device_does() {
    let one = ask_why(&["--frames", "3", "--device", device(), "--dtype", "f32", "--json"]).json();
    // A GPU cannot be named twice.
    let pair = format!("{},cpu", device());
    let two = ask_why(&["--frames", "3", "--device", &pair, "--dtype", "f32", "--json"]).json();
    assert_eq!(one["token_ids"], two["token_ids"]);
    let opened = format!("{},cpu", one["device"].as_str().unwrap());
    assert_eq!((&two["device"], &two["dtype"]), (&opened.as_str().into(), &"f32".into()));
    let verbose = ask_why(&["--frames", "3", "--device", &pair, "--dtype", "f32", "-v"]);
    let divided = format!("on {} (1 layers), cpu (2 layers) in f32", device());
    assert!(device() != "cpu" || verbose.stderr.contains(&divided), "{}", verbose.stderr);
}

/// The 7B model's weights are a file of zeros here, so nothing says more clearly that nothing is loaded.
#[test]
fn a_dry_run_prints_the_plan_of_a_model_of_real_size() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    generate_checkpoint::generate(["7b", dir, "--sparse"].map(str::to_owned)).unwrap();
    let ask = |extra: &[&str]| {
        ask_why(
            &[&["--model", dir, "--device", "cpu", "--dtype", "f32", "--dry-run", "--max-new-tokens", "8"], extra]
                .concat(),
        )
    };
    let started = std::time::Instant::now();
    let plan = ask(&["--memory-limit", "64GB"]);
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = plan.stdout.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[0])[..3], ["device", "layers", "weights"]);
    let row = words(lines[1]);
    assert_eq!(row[..4], ["cpu", "28", "16.1", "GB"], "8,030,348,832 parameters of two bytes, norms of four");
    assert!(row.ends_with(&["64.0".to_owned(), "GB".to_owned()]), "{row:?}");
    assert!(started.elapsed().as_secs() < 20, "a plan needs headers only");

    let refused = ask(&["--frames", "40", "--memory-limit", "16.8GB"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stdout.starts_with("device"), "the plan is what was asked for: {}", refused.stdout);
    for part in [
        "error: not enough memory: cpu needs 17.8 GB",
        "weights 16.1 GB",
        "and may take 16.8 GB",
        "hint: ",
        "`--frames ",
    ] {
        assert!(refused.stderr.contains(part), "`{part}` is missing: {}", refused.stderr);
    }
    assert!(refused.stderr.contains(", or fewer bits (`--quantize q8_0`)"), "{}", refused.stderr);
    let smaller = ask(&["--frames", "40", "--memory-limit", "16.8GB", "--quantize", "q8_0"]);
    assert_eq!(smaller.code, Some(0), "{}", smaller.stderr);
    // What the hint names does fit.
    let frames = refused.stderr.split("`--frames ").nth(1).unwrap().split('`').next().unwrap();
    let fits = ask(&["--frames", frames, "--memory-limit", "16.8GB"]);
    assert_eq!(fits.code, Some(0), "{}", fits.stderr);

    // Where neither fewer frames nor fewer bits are enough, both together are.
    let narrow = ["--frames", "40", "--memory-limit", "6GB"];
    let refused = ask(&narrow);
    let hint = refused.stderr.split("what would fit: fewer frames in fewer bits (`").nth(1).unwrap_or_default();
    let flags: Vec<&str> = hint.split('`').next().unwrap().split(' ').collect();
    assert!(matches!(flags[..], ["--frames", _, "--quantize", "q4_k"]), "{}", refused.stderr);
    let both: Vec<&str> = narrow.into_iter().chain(flags).collect();
    assert_eq!(ask(&both).code, Some(0), "{hint}");
}

/// As `--gpu-layers 1` has it with a GPU, here with a second CPU slot of another arithmetic in its place.
#[test]
fn leading_layers_go_to_their_slots_and_the_rest_behind_them() {
    let checkpoint = Checkpoint::open(Source::Path(tiny_checkpoint()), &[]).unwrap();
    let open = |dtype| Placement::open(DeviceName::Cpu, dtype).unwrap();
    let (leading, rest) = ([open(DtypeRequest::F32)], open(DtypeRequest::Bf16));
    let demand = Demand {
        distinct_frames: Some(2),
        tiles_at_once: 0,
        visual_tokens: 20,
        prompt_tokens: 40,
        cache_positions: 50,
        kv_caches: 1,
    };
    let placed = |layers| {
        let split = Split::Leading { leading: &leading, layers, rest: &rest };
        memory::place(&checkpoint, checkpoint.embedding_rows, &split, demand, &|_| None).0
    };
    let counts = |map: &DeviceMap| (0..map.slots().len()).map(|slot| map.layers_on(slot)).collect::<Vec<_>>();
    for (layers, expected) in [(0, vec![0, 3]), (1, vec![1, 2]), (3, vec![3]), (9, vec![3])] {
        assert_eq!(counts(&placed(layers)), expected, "{layers} layers in front");
    }
    let map = placed(1);
    assert_eq!((map.vision_slot(), map.embedding_slot(), map.head_slot()), (0, 0, 1));
    assert_eq!(map.dtype_name(), "f32,bf16");
}

/// Answers that are decoded together have a KV cache each, and one model.
#[test]
fn every_cache_that_is_held_counts() {
    let checkpoint = Checkpoint::open(Source::Path(tiny_checkpoint()), &[]).unwrap();
    let cpu = Placement::open(DeviceName::Cpu, DtypeRequest::F32).unwrap();
    let devices = DeviceMap::single(cpu, checkpoint.config.language.num_layers);
    let need = |kv_caches| {
        let demand = Demand {
            distinct_frames: None,
            tiles_at_once: 0,
            visual_tokens: 0,
            prompt_tokens: 40,
            cache_positions: 50,
            kv_caches,
        };
        MemoryPlan::new(&checkpoint, checkpoint.embedding_rows, &devices, demand, &|_| None).slots[0].need
    };
    let language = &checkpoint.config.language;
    let one = language.num_layers * 2 * language.num_kv_heads * language.head_dim() * 50 * size_of::<f32>();
    assert_eq!((need(1).kv_cache, need(8).kv_cache), (one as u64, 8 * one as u64));
    assert_eq!(need(1).total() - need(1).kv_cache, need(8).total() - need(8).kv_cache);
}

#[test]
fn devices_share_by_the_room_beside_what_else_they_hold() {
    let checkpoint = Checkpoint::open(Source::Path(tiny_checkpoint()), &[]).unwrap();
    let placements = [(); 2].map(|()| Placement::open(DeviceName::Cpu, DtypeRequest::F32).unwrap());
    let demand = Demand {
        distinct_frames: None,
        tiles_at_once: 0,
        visual_tokens: 0,
        prompt_tokens: 8,
        cache_positions: 9,
        kv_caches: 1,
    };
    let place = |split: &Split<'_>, free: u64| {
        memory::place(&checkpoint, checkpoint.embedding_rows, split, demand, &|_| Some(Room::Free(free))).0
    };
    assert_eq!(place(&Split::Over(&placements), 1 << 40).slots().len(), 2);
    assert_eq!(place(&Split::ByNeed(&placements), 1 << 40).slots().len(), 1, "one has room for all");
    assert_eq!(place(&Split::ByNeed(&placements), 1 << 20).slots().len(), 2, "none has");
}

#[test]
fn too_little_memory_is_refused_before_loading() {
    ask_why(&["--device", "cpu", "--memory-limit", "1MB"]).fails_with(&[
        "not enough memory",
        "may take 1.0 MB",
        "hint: ",
    ]);
    ask_why(&["--device", "cpu", "--gpu-layers", "1"]).fails_with(&["--gpu-layers needs a GPU", "cpu", "hint: "]);
}

/// Stored in f16, weights take two bytes each on the CPU, in the plan and in the process, as they do in bf16.
#[test]
fn f16_weights_are_held_as_they_are_stored() {
    let converted = |dtype| {
        let copy = CheckpointCopy::of(&tiny_checkpoint());
        copy.edit_tensors(|tensors| tensors.values_mut().for_each(|tensor| *tensor = tensor.to_dtype(dtype).unwrap()));
        copy
    };
    let planned = |path: &std::path::Path| {
        let checkpoint = Checkpoint::open(path, &[]).unwrap();
        let cpu = Placement::open(DeviceName::Cpu, DtypeRequest::F32).unwrap();
        let devices = DeviceMap::single(cpu, checkpoint.config.language.num_layers);
        StageBytes::of(&checkpoint, checkpoint.embedding_rows, &devices).on(0, &devices, true)
    };
    let halves = converted(DType::F16);
    // The values that f16 has, in f32: rounding is not what is compared.
    let floats = CheckpointCopy::of(halves.path());
    floats.edit_tensors(|tensors| {
        tensors.values_mut().for_each(|tensor| *tensor = tensor.to_dtype(DType::F32).unwrap());
    });
    assert_eq!(planned(halves.path()), planned(&tiny_checkpoint()), "as for bf16");
    let (in_halves, in_floats) = (planned(halves.path()) as f64, planned(floats.path()) as f64);
    assert!(in_halves < 0.6 * in_floats, "{in_halves} against {in_floats}");
    let ids = |path: &std::path::Path| {
        let model = ["--model", path.to_str().unwrap(), "--dtype", "f32"];
        let args = [&model[..], &["--frames", "3", "--json", "--max-new-tokens", "24"]].concat();
        ask_why(&args).json()["token_ids"].clone()
    };
    assert_eq!(ids(halves.path()), ids(floats.path()));
}
