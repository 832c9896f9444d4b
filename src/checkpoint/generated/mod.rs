//! Checkpoints of random weights under the real names and shapes of the published models, to measure and to test with:
//! written to disk by `examples/generate-checkpoint.rs`, or read straight from memory, which holds no copy of them.

mod file;
mod random;
mod sizes;
mod values;

use serde_json::{Value, json};

pub(super) use file::GeneratedFile;
pub use file::header;
pub use random::Random;
pub use sizes::{HALF_B, SEVEN_B, SEVENTY_TWO_B, Shape, Size, TOWER, original_tensors};
pub use values::Values;

/// What its config.json says: the keys that the originals have and this program reads.
pub fn config(size: &Size) -> Value {
    json!({
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "hidden_size": size.hidden,
        "intermediate_size": size.intermediate,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "vocab_size": size.rows,
        "tie_word_embeddings": size.tied,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "max_position_embeddings": 32_768,
        "tokenizer_model_max_length": 32_768,
        "use_sliding_window": false,
        "mm_hidden_size": 1152,
        "mm_newline_position": "grid",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_spatial_pool_mode": "bilinear",
        "mm_spatial_pool_stride": 2,
        "mm_use_im_patch_token": false,
        "mm_use_im_start_end": false,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "torch_dtype": "bfloat16",
    })
}
