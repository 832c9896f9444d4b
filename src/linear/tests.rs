//! Linear layers of the CPU's kernels against candle's arithmetic on the same weights.

use candle_core::{D, DType, Device, Result, Tensor};

use super::{Gated, Joint, Linear, Pass, Then};
use crate::checkpoint::Weights;
use crate::device::{Operands, Placement};
use crate::kernels::isa::Isa;
use crate::quantization::{Quantization, Scheme};

const GATE: &str = "model.layers.0.mlp.gate_proj";
const UP: &str = "model.layers.0.mlp.up_proj";
const DOWN: &str = "model.layers.0.mlp.down_proj";

fn exact() -> Placement {
    Placement::whole(Device::Cpu, DType::F32)
}

fn rounding(operands: Operands) -> Placement {
    Placement { operands, ..exact() }
}

fn random(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f32> {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (a.to_dtype(DType::F32)?, b.to_dtype(DType::F32)?);
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar()
}

/// A layer of candle's, in f32.
fn reference(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let bias = bias.map(|bias| bias.to_dtype(DType::F32)).transpose()?;
    candle_nn::Module::forward(&candle_nn::Linear::new(weight.to_dtype(DType::F32)?, bias), x)
}

#[test]
fn weights_of_every_type_give_what_candle_gives_in_f32() -> Result<()> {
    let shapes = [(1, 1), (5, 7), (64, 96), (1030, 33), (2050, 130)];
    for ((rows, width), dtype) in
        shapes.into_iter().flat_map(|shape| [DType::BF16, DType::F16, DType::F32].map(|dtype| (shape, dtype)))
    {
        let (weight, bias) = (random(&[rows, width])?.to_dtype(dtype)?, random(&[rows])?.to_dtype(dtype)?);
        let (weight_name, bias_name) = (format!("{DOWN}.weight"), format!("{DOWN}.bias"));
        let weights = Weights::of_tensors(&[(&weight_name, &weight), (&bias_name, &bias)]);
        let linear = Linear::load(&weights, DOWN, true, &exact()).expect("it loads");
        for positions in [1, 2, 4, 5, 70] {
            let (x, other) = (random(&[1, positions, width])?, random(&[1, positions, rows])?);
            let expected = reference(&x, &weight, Some(&bias))?;
            for pass in [Pass::Prefill, Pass::Step] {
                let thens = [
                    (Then::Nothing, expected.clone()),
                    (Then::GeluTanh, expected.gelu()?),
                    (Then::GeluErf, expected.gelu_erf()?),
                    (Then::Add(&other), (&expected + &other)?),
                ];
                for (then, expected) in thens {
                    let difference = largest_difference(&linear.forward_then(&x, pass, then)?, &expected)?;
                    let what = format!("{dtype:?} {rows}x{width}, {positions} {pass:?} {then:?}");
                    assert!(difference < 1e-4, "{what}: {difference}");
                }
            }
        }
    }
    Ok(())
}

/// Parts whose rows fill no panel share one with the next.
#[test]
fn joined_layers_give_what_each_gives_alone() -> Result<()> {
    let (sizes, width) = ([37, 5, 22], 40);
    let mut tensors = Vec::new();
    for (name, rows) in ["q_proj", "k_proj", "v_proj"].into_iter().zip(sizes) {
        let name = format!("model.layers.0.self_attn.{name}");
        let (weight, bias) = (random(&[rows, width])?.to_dtype(DType::BF16)?, random(&[rows])?);
        tensors.push((name, weight, bias));
    }
    let named: Vec<_> = tensors
        .iter()
        .flat_map(|(name, weight, bias)| [(format!("{name}.weight"), weight), (format!("{name}.bias"), bias)])
        .collect();
    let weights = Weights::of_tensors(&named.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect::<Vec<_>>());
    let names: Vec<String> = tensors.iter().map(|(name, ..)| name.clone()).collect();
    let joint = Joint::load(&weights, &names, &exact()).expect("they load");
    let x = random(&[9, width])?;
    let parts =
        tensors.iter().map(|(_, weight, bias)| reference(&x, weight, Some(bias))).collect::<Result<Vec<_>>>()?;
    let expected = Tensor::cat(&parts, D::Minus1)?;
    assert!(largest_difference(&joint.forward(&x, Pass::Prefill)?, &expected)? < 1e-4);
    Ok(())
}

#[test]
fn gate_and_up_are_paired() -> Result<()> {
    let width = 48;
    for outputs in [1, 15, 16, 17, 100] {
        let [gate, up] = [random(&[outputs, width])?, random(&[outputs, width])?];
        let (gate_name, up_name) = (format!("{GATE}.weight"), format!("{UP}.weight"));
        let weights = Weights::of_tensors(&[(&gate_name, &gate), (&up_name, &up)]);
        let gated = Gated::load(&weights, GATE, UP, &exact()).expect("they load");
        let x = random(&[3, width])?;
        let expected = (reference(&x, &gate, None)?.silu()? * reference(&x, &up, None)?)?;
        let got = gated.forward(&x, Pass::Step)?;
        assert!(largest_difference(&got, &expected)? < 2e-4, "{outputs} outputs");
    }
    Ok(())
}

fn quantized(quantization: Quantization, rows: usize, width: usize) -> Result<Weights> {
    let name = format!("{DOWN}.weight");
    let mut weights = Weights::of_tensors(&[(&name, &random(&[rows, width])?)]);
    weights.quantize("a test".as_ref(), Scheme { quantization, vision: false }).expect("floats");
    Ok(weights)
}

/// What a decode step rounds differently shows in the third digit, so a prompt's last positions must not go its way
/// however few they are.
#[test]
fn a_few_positions_of_prefill_are_computed_as_many_are() -> Result<()> {
    let (rows, width) = (1030, 256);
    for quantization in Quantization::ALL {
        let weights = quantized(quantization, rows, width)?;
        let x = random(&[20, width])?;
        for operands in [Operands::Exact, Operands::Bytes, Operands::Bf16] {
            let linear = Linear::load(&weights, DOWN, false, &rounding(operands)).expect("it loads");
            let many = linear.forward(&x, Pass::Prefill)?;
            let what = format!("{} {operands:?}", quantization.name());
            for positions in [1, 2, 4, 5, 8, 9] {
                let last = |x: &Tensor| x.narrow(0, 20 - positions, positions);
                let few = linear.forward(&last(&x)?, Pass::Prefill)?;
                assert_eq!(largest_difference(&few, &last(&many)?)?, 0.0, "{what}, {positions} positions");
            }
            let difference = largest_difference(&linear.forward(&x, Pass::Step)?, &many)?;
            let differs = match operands {
                Operands::Exact | Operands::Bytes => false,
                // Prefill goes through the matrix unit, steps do not.
                Operands::Bf16 => exact().isa() == Isa::Amx,
            };
            assert_eq!(linear.steps_differ(), differs, "{what}");
            if differs {
                assert!(difference > 1e-2, "{what}: this test compares nothing");
            } else {
                assert_eq!(difference, 0.0, "{what}");
            }
        }
    }
    Ok(())
}

/// The paths that arithmetic other than the kernels' takes: blocks between tensors in bf16.
#[test]
fn blocks_under_whole_bf16_are_near_those_under_f32() -> Result<()> {
    let weights = quantized(Quantization::Q8_0, 64, 256)?;
    let x = random(&[4, 256])?;
    let linear = |placement| Linear::load(&weights, DOWN, false, &placement).expect("it loads");
    let exact = linear(exact()).forward(&x, Pass::Prefill)?;
    let whole = Placement::whole(Device::Cpu, DType::BF16);
    let rounded = linear(whole).forward(&x.to_dtype(DType::BF16)?, Pass::Prefill)?;
    assert_eq!(rounded.dtype(), DType::BF16);
    let difference = largest_difference(&rounded, &exact)?;
    assert!(difference > 0.0 && difference < 0.5, "{difference}");
    Ok(())
}

/// Whole numbers from -`most` to `most`, of which products and sums are exact in f32.
fn whole_numbers(shape: &[usize], most: f64) -> Result<Tensor> {
    (random(shape)? * (most / 2.0))?.round()?.clamp(-most, most)?.to_dtype(DType::BF16)
}

/// In 16 bits, as GPUs compute, the sums of a product are rounded with their bias, not before it as well.
#[test]
fn whole_bf16_rounds_product_and_bias_once() -> Result<()> {
    let whole = Placement::whole(Device::Cpu, DType::BF16);
    let names = ["q_proj", "k_proj", "v_proj"].map(|name| format!("model.layers.0.self_attn.{name}"));
    for width in [1, 8, 13, 40] {
        let mut tensors = Vec::new();
        for (name, rows) in names.iter().zip([37, 5, 22]) {
            tensors.push((format!("{name}.weight"), whole_numbers(&[rows, width], 15.0)?));
            tensors.push((format!("{name}.bias"), whole_numbers(&[rows], 255.0)?));
        }
        let weights = Weights::of_tensors(&tensors.iter().map(|(name, tensor)| (&**name, tensor)).collect::<Vec<_>>());
        let x = whole_numbers(&[2, 9, width], 15.0)?;
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        for ((name, pair), positions) in names.iter().zip(tensors.chunks(2)).zip([1, 9, 9]) {
            let [(_, weight), (_, bias)] = pair else { panic!("a weight and its bias") };
            let wide = x.to_dtype(DType::F32)?;
            once.push(reference(&wide, weight, Some(bias))?.to_dtype(DType::BF16)?);
            twice.push(reference(&wide, weight, None)?.to_dtype(DType::BF16)?.broadcast_add(bias)?);
            let layer = Linear::load(&weights, name, true, &whole).expect("it loads");
            let got = layer.forward(&x.narrow(1, 0, positions)?, Pass::Prefill)?;
            let expected = once[once.len() - 1].narrow(1, 0, positions)?;
            assert_eq!(largest_difference(&got, &expected)?, 0.0, "{name}, {width} columns");
        }
        let (once, twice) = (Tensor::cat(&once, D::Minus1)?, Tensor::cat(&twice, D::Minus1)?);
        let joint = Joint::load(&weights, &names, &whole).expect("they load");
        assert_eq!(largest_difference(&joint.forward(&x, Pass::Prefill)?, &once)?, 0.0, "{width} columns");
        let difference = largest_difference(&once, &twice)?;
        assert!(width == 1 || difference > 0.0, "{width} columns: this test compares nothing");
    }
    Ok(())
}
