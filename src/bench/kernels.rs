//! Kernels by themselves: a product, the tower's attention and the decoder's, on random values of the model's shapes.

use candle_core::{DType, Tensor};
use half::bf16;

use super::Bench;
use super::counts;
use super::meter::Meter;
use super::row::{Unit, Work};
use super::stage::Stage;
use super::vision::random_floats;
use crate::attention::{self, CausalBlocks};
use crate::device::Placement;
use crate::engine::Error;
use crate::host;
use crate::kernels::attention::{Cached, Causal, Values, causal};
use crate::linear::{Linear, Pass};
use crate::role::Role;

/// Measures those that are asked for.
pub(super) fn measure(bench: &Bench, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    if bench.measures(Stage::Product) {
        product(bench, meter)?;
    }
    if bench.measures(Stage::TowerAttention) {
        tower_attention(bench, meter)?;
    }
    if bench.measures(Stage::CausalAttention) {
        causal_attention(bench, meter)?;
    }
    Ok(())
}

fn work(stage: Stage, amount: usize, unit: Unit, flops: u64) -> Work {
    Work { stage, amount: amount as u64, unit, depth: None, rows: None, flops: Some(flops), read_bytes: None }
}

/// The first decoder layer's `down_proj` as it is held, over each length of prompt.
fn product(bench: &Bench, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let (placement, config) = (bench.first(), &bench.checkpoint.config.language);
    let name = format!("{}.mlp.down_proj", Role::Decoder(0).prefix());
    let layer = Linear::load(&bench.checkpoint.weights, &name, false, placement)?;
    for &tokens in &bench.options.prompt_tokens {
        let x = random_operands(&[tokens, config.intermediate_size], placement)?;
        let run = || {
            layer.forward(&x, Pass::Prefill)?;
            Ok(placement.device.synchronize()?)
        };
        run()?;
        let (seconds, ()) = meter.time(Stage::Product, run)?;
        let flops = counts::product(tokens, config.intermediate_size * config.hidden_size);
        let work = work(Stage::Product, tokens, Unit::Tokens, flops);
        let of_bytes = layer.multiplies_bytes(Pass::Prefill);
        meter.report_against(work, seconds, meter.ceilings.products_per_sec(of_bytes, bench.dtype()))?;
    }
    Ok(())
}

/// One layer's, over each number of frames.
fn tower_attention(bench: &Bench, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let (placement, vision) = (bench.devices.placement(bench.devices.vision_slot()), bench.checkpoint.vision);
    let patches = vision.grid() * vision.grid();
    for &frames in &bench.options.frames {
        let qkv = random_floats(&[frames, patches, 3 * vision.hidden_size])?;
        let qkv = qkv.to_dtype(placement.dtype)?.to_device(&placement.device)?;
        let run = || {
            attention::full(&qkv, vision.num_heads, placement)?;
            Ok(placement.device.synchronize()?)
        };
        run()?;
        let (seconds, ()) = meter.time(Stage::TowerAttention, run)?;
        let flops = frames as u64 * counts::tower_attention_flops(patches, vision.hidden_size);
        let work = work(Stage::TowerAttention, frames, Unit::Frames, flops);
        meter.report(work, seconds, placement.operand_dtype())?;
    }
    Ok(())
}

/// One layer's, over each length of prompt.
fn causal_attention(bench: &Bench, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let (placement, config) = (bench.first(), &bench.checkpoint.config.language);
    let (heads, kv_heads, width) = (config.num_heads, config.num_kv_heads, config.head_dim());
    for &tokens in &bench.options.prompt_tokens {
        let query_width = heads * width;
        let [q, k, v] = [heads, kv_heads, kv_heads].map(|heads| random_floats(&[heads, tokens, width]));
        let (q, k, v) = (q?, k?, v?);
        let seconds = if placement.uses_kernels() {
            let flat = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
            let (q, kv) = (flat(&q)?, [KeptAs::new(flat(&k)?, placement), KeptAs::new(flat(&v)?, placement)]);
            let [keys, values] = [kv[0].values(), kv[1].values()];
            let cached = Cached { keys, values, capacity: tokens, first_position: 0, rows: tokens };
            let shape = Causal { heads, kv_heads, width, query_stride: query_width };
            let run = || {
                host::written((tokens, query_width), placement.operand_dtype(), |out| {
                    causal(placement.isa(), placement.operands, &q, &[cached], shape, out);
                    Ok(())
                })?;
                Ok(())
            };
            run()?;
            meter.time(Stage::CausalAttention, run)?.0
        } else {
            let placed = |x: Tensor| x.to_dtype(placement.dtype)?.to_device(&placement.device);
            let (q, k, v) = (placed(q)?, placed(k)?, placed(v)?);
            let run = || {
                CausalBlocks::new(tokens, 0, heads, placement)?.attend(&q, &k, &v)?;
                Ok(placement.device.synchronize()?)
            };
            run()?;
            meter.time(Stage::CausalAttention, run)?.0
        };
        let flops = counts::causal_attention_flops(query_width, 0, tokens);
        meter.report(work(Stage::CausalAttention, tokens, Unit::Tokens, flops), seconds, bench.dtype())?;
    }
    Ok(())
}

/// Keys or values as a KV cache keeps them.
enum KeptAs {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl KeptAs {
    fn new(values: Vec<f32>, placement: &Placement) -> Self {
        match placement.operand_dtype() {
            DType::BF16 => Self::Bf16(values.into_iter().map(bf16::from_f32).collect()),
            _ => Self::F32(values),
        }
    }

    fn values(&self) -> Values<'_> {
        match self {
            Self::F32(values) => Values::F32(values),
            Self::Bf16(values) => Values::Bf16(values),
        }
    }
}

/// Random values as an activation before a product gives them.
fn random_operands(shape: &[usize], placement: &Placement) -> Result<Tensor, Error> {
    let dtype = if placement.uses_kernels() { placement.operand_dtype() } else { placement.dtype };
    Ok(random_floats(shape)?.to_dtype(dtype)?.to_device(&placement.device)?)
}
