//! Records which GPUs the kernels of a CUDA build are compiled for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    {
        println!("cargo::rerun-if-env-changed=CUDA_COMPUTE_CAP");
        // Asked in the same way as the build scripts of candle's kernels ask it. Where it cannot be told, they fail.
        if let Ok(target) = cudaforge::detect_compute_cap() {
            println!("cargo::rustc-env=LLAVA_VIDEO_CUDA_TARGET={target}");
        }
    }
}
