//! What is found out about the machine and the build, and the advice that follows from it.

use std::path::PathBuf;

use anyhow::Result;
use llava_video::Error;
use llava_video::bench::Machine;
use llava_video::device::{DeviceName, DeviceRequest, Devices, DtypeRequest, Placement, Target, built_in_features};
use llava_video::disk;
use llava_video::engine::visual_cache;
use llava_video::hub::Settings;
use llava_video::interrupt::Interrupt;
use llava_video::size::shown;
use llava_video::video::ffmpeg_versions;

/// Bytes of the default model as it is published, rounded up.
const DEFAULT_MODEL_BYTES: u64 = 16_500_000_000;

/// Where the kernel module of NVIDIA's driver tells its version.
const NVIDIA_VERSION: &str = "/proc/driver/nvidia/version";

/// What is known.
pub(super) struct Facts {
    pub(super) machine: Machine,
    pub(super) features: Vec<&'static str>,
    /// The compute capability that this build's kernels for NVIDIA GPUs are compiled for.
    pub(super) cuda_target: Option<String>,
    pub(super) ffmpeg: String,
    /// The instructions by which the CPU computes.
    pub(super) kernels: &'static str,
    /// Those that the CPU has and that gave wrong numbers.
    pub(super) failed_kernels: Vec<&'static str>,
    /// The arithmetic that `--dtype auto` takes for weights in bf16.
    pub(super) auto_dtype: &'static str,
    pub(super) free_bytes: Option<u64>,
    pub(super) gpus: Vec<Gpu>,
    /// Why there are none.
    pub(super) no_gpu: String,
    pub(super) nvidia_driver: Option<String>,
    /// What the process that reads videos cannot give up.
    pub(super) sandbox: Vec<String>,
    pub(super) sandbox_failure: Option<String>,
    pub(super) models: Folder,
    pub(super) visual_tokens: Folder,
    pub(super) advice: Vec<String>,
}

/// A GPU that can be computed on.
pub(super) struct Gpu {
    pub(super) device: String,
    /// What it is sold as, and its compute capability; empty where unknown.
    pub(super) model: String,
    pub(super) dtype: &'static str,
    pub(super) free_bytes: Option<u64>,
}

/// A folder of caches.
pub(super) struct Folder {
    /// Or why there is none.
    pub(super) path: Result<PathBuf, String>,
    pub(super) free_bytes: Option<u64>,
}

impl Folder {
    fn at<E: std::fmt::Display>(path: Result<PathBuf, E>) -> Self {
        let path = path.map_err(|error| error.to_string());
        let free_bytes = path.as_ref().ok().and_then(|path| disk::free_bytes(path));
        Self { path, free_bytes }
    }
}

impl Facts {
    /// Looks at everything.
    ///
    /// # Errors
    /// A CPU that cannot be computed on: [`LLAVA_VIDEO_ISA`](llava_video::device) asks for what it lacks.
    pub(super) fn gather(interrupt: &Interrupt) -> Result<Self> {
        let cpu = Placement::open(DeviceName::Cpu, DtypeRequest::Auto).map_err(Error::from)?;
        let suited = cpu.clone().suited_to(DtypeRequest::Auto, Some(candle_core::DType::BF16));
        let (gpus, no_gpu) = gpus();
        let sandbox = super::sandbox::missing(interrupt);
        let mut facts = Self {
            machine: Machine::look(),
            features: built_in_features(),
            cuda_target: Target::of_this_build().map(|target| target.to_string()),
            ffmpeg: ffmpeg_versions(),
            kernels: cpu.kernels_name(),
            failed_kernels: cpu.failed_instructions().iter().map(|isa| isa.name()).collect(),
            auto_dtype: suited.dtype_name(),
            free_bytes: cpu.free_bytes(),
            gpus,
            no_gpu,
            nvidia_driver: nvidia_driver(),
            sandbox_failure: sandbox.as_ref().err().map(|error| format!("{error:#}")),
            sandbox: sandbox.unwrap_or_default(),
            models: Folder::at(Settings::from_env(None).map(|settings| settings.cache_dir)),
            visual_tokens: Folder::at(visual_cache::folder_from_env()),
            advice: Vec::new(),
        };
        facts.advice = facts.advise();
        Ok(facts)
    }

    fn advise(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let is_cuda_built = self.features.contains(&"cuda");
        match (&self.nvidia_driver, is_cuda_built, self.gpus.is_empty()) {
            (Some(_), false, _) => advice.push(
                "there is an NVIDIA driver, and this build cannot use it: build with `--features cuda`".to_owned(),
            ),
            (Some(_), true, true) => {
                advice.push("there is an NVIDIA driver, and no GPU could be opened: see above why".to_owned());
            }
            (None, true, true) => advice.push(
                "this build is for NVIDIA GPUs, and there is no driver: install it, or use a build without `cuda`"
                    .to_owned(),
            ),
            _ => {}
        }
        if self.kernels == "plain" {
            let slow = "nothing faster than plain Rust computes (no AVX2, or LLAVA_VIDEO_ISA forbids it): expect \
                minutes an answer";
            advice.push(slow.to_owned());
        }
        if !self.failed_kernels.is_empty() {
            advice
                .push("some of the processor's instructions gave wrong numbers: please report this machine".to_owned());
        }
        if let Some(free) = self.free_bytes.filter(|&free| free < DEFAULT_MODEL_BYTES && self.gpus.is_empty()) {
            advice.push(format!(
                "{} of memory are free, too little for the default model as it is published: try `--quantize q4_k`, or \
                 a smaller model",
                shown(free)
            ));
        }
        if let Some(free) = self.models.free_bytes.filter(|&free| free < DEFAULT_MODEL_BYTES) {
            advice.push(format!(
                "the default model takes {} on disk, and {} are free: set HF_HOME to a larger disk",
                shown(DEFAULT_MODEL_BYTES),
                shown(free)
            ));
        }
        if !self.sandbox.is_empty() {
            advice.push(
                "videos from strangers are read with fewer protections than elsewhere: prefer Linux 5.13 or newer"
                    .to_owned(),
            );
        }
        advice
    }
}

/// The GPUs that can be opened, or why there are none.
fn gpus() -> (Vec<Gpu>, String) {
    match Devices::open(&DeviceRequest::Auto, DtypeRequest::Auto).map(Devices::all) {
        Ok(devices) => {
            let placements = devices.placements();
            let gpus = placements.iter().filter(|placement| !placement.device.is_cpu());
            let gpu = |placement: &Placement| Gpu {
                device: placement.device_name(),
                model: placement.gpu_model().unwrap_or_default(),
                dtype: placement.dtype_name(),
                free_bytes: placement.free_bytes(),
            };
            (gpus.map(gpu).collect(), "none that this build can use".to_owned())
        }
        Err(error) => (Vec::new(), format!("none: {error}")),
    }
}

fn nvidia_driver() -> Option<String> {
    driver_version(&std::fs::read_to_string(NVIDIA_VERSION).ok()?)
}

/// The number in what the module says of itself; all of its first line where that has none.
fn driver_version(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    let is_number = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    Some(line.split_whitespace().find(is_number).unwrap_or(line.trim()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let folder = || Folder { path: Ok("/cache".into()), free_bytes: Some(1 << 40) };
        Facts {
            machine: Machine { cpu: "a CPU".to_owned(), cores: 2, threads: 2, memory_bytes: 64 << 30 },
            features: Vec::new(),
            cuda_target: None,
            ffmpeg: String::new(),
            kernels: "avx512",
            failed_kernels: Vec::new(),
            auto_dtype: "f32",
            free_bytes: Some(60 << 30),
            gpus: Vec::new(),
            no_gpu: String::new(),
            nvidia_driver: None,
            sandbox: Vec::new(),
            sandbox_failure: None,
            models: folder(),
            visual_tokens: folder(),
            advice: Vec::new(),
        }
    }

    #[test]
    fn the_drivers_number_is_found_in_what_both_modules_say() {
        for (line, version) in [
            ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (a@b)", "580.159.04"),
            ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.86.05  Fri Jul 14 20:46:33 UTC 2023", "535.86.05"),
            ("something else", "something else"),
        ] {
            assert_eq!(driver_version(&format!("{line}\nGCC version: 12.2.0")).as_deref(), Some(version));
        }
    }

    #[test]
    fn each_lack_has_its_advice_and_nothing_else_has() {
        assert_eq!(facts().advise(), Vec::<String>::new());
        let driver = || Some("550.54".to_owned());
        let small = || Folder { path: Ok("/cache".into()), free_bytes: Some(1 << 30) };
        for (facts, part) in [
            (Facts { nvidia_driver: driver(), ..facts() }, "--features cuda"),
            (Facts { nvidia_driver: driver(), features: vec!["cuda"], ..facts() }, "no GPU could be opened"),
            (Facts { features: vec!["cuda"], ..facts() }, "there is no driver"),
            (Facts { kernels: "plain", ..facts() }, "LLAVA_VIDEO_ISA"),
            (Facts { failed_kernels: vec!["amx"], ..facts() }, "wrong numbers"),
            (Facts { free_bytes: Some(8 << 30), ..facts() }, "--quantize q4_k"),
            (Facts { models: small(), ..facts() }, "HF_HOME"),
            (Facts { sandbox: vec!["files".to_owned()], ..facts() }, "strangers"),
        ] {
            let advice = facts.advise();
            assert!(advice.len() == 1 && advice[0].contains(part), "{part}: {advice:?}");
        }
    }
}
