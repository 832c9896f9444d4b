//! temporary
use super::isa::Isa; use super::values::Out; use half::bf16;
pub(crate) struct Shape { pub(crate) heads: usize, pub(crate) kv_heads: usize, pub(crate) width: usize, pub(crate) capacity: usize, pub(crate) first_position: usize }
pub(crate) fn rotate_and_store(_isa: Isa, qkv: &[f32], s: Shape, cos: &[f32], sin: &[f32], q: &mut [f32], mut keys: Out<'_>, mut values: Out<'_>) {
    let w = s.width; let row = (s.heads + 2*s.kv_heads)*w; let h = w/2;
    let rot = |x: &[f32], i: usize, j: usize| { let (c, sn) = (&cos[i*h..], &sin[i*h..]); if j < h { x[j]*c[j] - x[j+h]*sn[j] } else { x[j]*c[j-h] + x[j-h]*sn[j-h] } };
    let put = |o: &mut Out<'_>, at: usize, v: f32| match o { Out::F32(o) => o[at] = v, Out::Bf16(o) => o[at] = bf16::from_f32(v) };
    for i in 0..qkv.len()/row {
        for head in 0..s.heads { let x = &qkv[i*row + head*w..][..w]; for j in 0..w { q[(i*s.heads+head)*w + j] = rot(x, i, j); } }
        for head in 0..s.kv_heads {
            let k = &qkv[i*row + (s.heads+head)*w..][..w]; let v = &qkv[i*row + (s.heads+s.kv_heads+head)*w..][..w];
            for j in 0..w { let at = (head*s.capacity + s.first_position + i)*w + j; put(&mut keys, at, rot(k, i, j)); put(&mut values, at, v[j]); }
        }
    }
}
