//! temporary
use super::isa::Isa; use super::values::Out; use half::bf16;
pub(crate) fn rms_norm(_isa: Isa, x: &[f32], w: &[f32], eps: f32, mut out: Out<'_>) {
    let n = w.len();
    for (i, x) in x.chunks_exact(n).enumerate() {
        let m = x.iter().map(|x| x * x).sum::<f32>() / n as f32;
        let s = (m + eps).sqrt();
        for j in 0..n { let v = x[j] / s * w[j]; match &mut out { Out::F32(o) => o[i*n+j] = v, Out::Bf16(o) => o[i*n+j] = bf16::from_f32(v) } }
    }
}
pub(crate) fn layer_norm(_isa: Isa, x: &[f32], w: &[f32], b: &[f32], eps: f32, mut out: Out<'_>) {
    let n = w.len();
    for (i, x) in x.chunks_exact(n).enumerate() {
        let mean = x.iter().sum::<f32>() / n as f32;
        let m = x.iter().map(|x| (x-mean) * (x-mean)).sum::<f32>() / n as f32;
        let s = (m + eps).sqrt();
        for j in 0..n { let v = (x[j]-mean) / s * w[j] + b[j]; match &mut out { Out::F32(o) => o[i*n+j] = v, Out::Bf16(o) => o[i*n+j] = bf16::from_f32(v) } }
    }
}
