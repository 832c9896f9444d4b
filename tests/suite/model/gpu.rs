//! The way of a GPU, on the GPU under test or played on the CPU: against the reference's numbers, over more positions
//! than a chunk and a block of scores hold, quantized, and over two slots.

use candle_core::{DType, Device, Tensor};
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, DtypeRequest, Placement};
use llava_video::interrupt::Interrupt;
use llava_video::language::Qwen2;
use llava_video::quantization::{Quantization, Scheme};
use llava_video::trace::Trace;

use super::parity::{answer, assert_video_cases, load_over, resized};
use super::prompts;
use crate::support::wide::{self, SMALL};
use crate::support::{Case, assert_close, device, gpu, other_gpu, tiny_checkpoint};

const LOGITS: f32 = 2e-3;

#[test]
fn the_way_of_a_gpu_gives_the_references_numbers() {
    assert_video_cases(&gpu(DtypeRequest::F32));
}

fn cpu() -> Placement {
    Placement::whole(Device::Cpu, DType::F32)
}

fn language(checkpoint: &Checkpoint, placement: &Placement) -> Qwen2 {
    let config = &checkpoint.config.language;
    let devices = DeviceMap::single(placement.clone(), config.num_layers);
    Qwen2::load(config, &checkpoint.weights, checkpoint.embedding_rows, &devices, &mut |_, _| Ok(())).unwrap()
}

/// No two stretches alike.
fn ids(count: usize, vocab: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * i / 7 + i * 13) % vocab) as u32).collect()
}

/// Logits after a prompt, and after a few ids behind it, each on the CPU.
fn logits(model: &Qwen2, prompt: &[u32], steps: &[u32]) -> Vec<Tensor> {
    let (interrupt, mut cache) = (Interrupt::default(), model.new_cache(prompt.len() + steps.len()));
    let embeds = model.embed(prompt).unwrap();
    let first = model.prefill(&embeds, &mut cache, &interrupt, &mut |_, _| ()).unwrap();
    let steps = steps.iter().map(|&id| model.step(id, &mut cache, &interrupt).unwrap());
    let all: Vec<Tensor> = std::iter::once(first).chain(steps).collect();
    all.into_iter().map(|logits| logits.to_device(&Device::Cpu).unwrap()).collect()
}

/// The root of the mean square of what differs, relative to that of what is expected.
fn relative_error(got: &[Tensor], expected: &[Tensor]) -> f64 {
    let square = |tensor: &Tensor| f64::from(tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
    let differences = got.iter().zip(expected).map(|(got, expected)| square(&(got - expected).unwrap()));
    (differences.sum::<f64>() / expected.iter().map(square).sum::<f64>()).sqrt()
}

/// More than two chunks and several blocks of scores, against the CPU's kernels, which the reference's long prompts
/// hold. In bf16, with and without flash attention where there is any.
#[test]
fn over_5000_positions_are_those_of_the_cpu() {
    let checkpoint = Checkpoint::open(tiny_checkpoint(), &[]).unwrap();
    let prompt = ids(5_200, checkpoint.embedding_rows);
    let steps = [3, 1, 2];
    let expected = logits(&language(&checkpoint, &cpu()), &prompt, &steps);
    let exact = logits(&language(&checkpoint, &gpu(DtypeRequest::F32)), &prompt, &steps);
    for (step, (got, expected)) in exact.iter().zip(&expected).enumerate() {
        assert_close(&format!("step {step}"), got, expected, LOGITS);
    }
    if device() == "cpu" {
        return;
    }
    let bf16 = gpu(DtypeRequest::Bf16);
    for has_flash in [false, true] {
        if has_flash && !bf16.uses_flash_attention() {
            continue;
        }
        let placement = Placement { has_flash, ..bf16.clone() };
        let error = relative_error(&logits(&language(&checkpoint, &placement), &prompt, &steps), &expected);
        println!("5,200 positions in bf16, flash attention {has_flash}: relative error {error:.2e}");
        assert!(error > 0.0 && error < 0.05, "flash attention {has_flash}: {error:.2e}");
    }
}

/// candle's products with blocks, of many positions and of one, against the CPU's exact ones on the same blocks.
#[test]
fn every_quantization_is_near_the_exact_product_of_its_blocks() {
    let copy = wide::checkpoint(SMALL, false);
    let steps = [5, 9, 2, 7];
    for quantization in Quantization::ALL {
        let mut checkpoint = Checkpoint::open(copy.path(), &[]).unwrap();
        checkpoint.quantize(Scheme { quantization, vision: false }).unwrap();
        let prompt = ids(70, checkpoint.embedding_rows);
        let expected = logits(&language(&checkpoint, &cpu()), &prompt, &steps);
        let dtypes =
            if device() == "cpu" { vec![DtypeRequest::F32] } else { vec![DtypeRequest::F32, DtypeRequest::Auto] };
        for dtype in dtypes {
            let got = logits(&language(&checkpoint, &gpu(dtype)), &prompt, &steps);
            let error = relative_error(&got, &expected);
            println!("{} under {dtype:?}: relative error {error:.2e}", quantization.name());
            assert!(error > 0.0 && error < 0.1, "{} under {dtype:?}: {error:.2e}", quantization.name());
        }
    }
}

/// The same GPU opened twice: hidden states cross from one order of work to another.
#[test]
fn two_slots_on_one_gpu_give_the_numbers_of_one() {
    let case = Case::load("grid_bilinear_s2_a");
    let dir = case.checkpoint();
    let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
    let (frames, width, height) = case.frames();
    let frames = resized(&frames, width, height, &checkpoint);
    let layers = checkpoint.config.language.num_layers;
    let outcome = |devices: &DeviceMap| {
        let (model, tokenizer) = load_over(&checkpoint, devices, true);
        let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
        let mut trace = Trace::recording();
        let ids = answer(&model, &checkpoint, &prompt, Some(&frames), 32, &mut trace);
        let logits = trace.tensors().unwrap()["prefill_logits_last"].flatten_all().unwrap();
        (ids, logits.to_vec1::<f32>().unwrap())
    };
    let [one, other] = [gpu(DtypeRequest::F32), other_gpu(DtypeRequest::F32)];
    let undivided = outcome(&DeviceMap::single(one.clone(), layers));
    assert_eq!(undivided.0, case.ids("generated_ids"));
    // Often enough for memory that is used again too early to show.
    for round in 0..8 {
        let divided = outcome(&DeviceMap::new(vec![one.clone(), other.clone()], &[1, layers - 1]));
        assert_eq!(divided, undivided, "round {round}");
    }
}
