//! `doctor`: what this machine and this build can do, and what to do about what they cannot.

mod facts;
mod sandbox;

use anyhow::Result;
use llava_video::size::shown;
use serde_json::{Value, json};

use super::args::DoctorArgs;
use super::exit::Exit;
use super::output::Printer;
use super::signals;
use facts::{Facts, Folder};

pub(crate) fn run(args: &DoctorArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let facts = Facts::gather(&interrupt)?;
    if args.json {
        printer.line(&object(&facts, printer.warnings()).to_string())?;
        return Ok(Exit::Done);
    }
    for (label, fact) in lines(&facts) {
        printer.line(&format!("{label:<14}{fact}"))?;
    }
    for advice in &facts.advice {
        printer.line(&format!("advice: {advice}"))?;
    }
    Ok(Exit::Done)
}

/// A label and what it is, for people.
fn lines(facts: &Facts) -> Vec<(&'static str, String)> {
    let features = if facts.features.is_empty() { "none".to_owned() } else { facts.features.join(", ") };
    let target = facts.cuda_target.as_ref().map(|target| format!(", kernels for compute capability {target}"));
    let target = target.unwrap_or_default();
    let mut lines = vec![
        ("program", format!("llava-video {}, features: {features}{target}", env!("CARGO_PKG_VERSION"))),
        ("FFmpeg", facts.ffmpeg.clone()),
        (
            "processor",
            format!("{}, {} cores, {} threads compute", facts.machine.cpu, facts.machine.cores, facts.machine.threads),
        ),
        ("kernels", kernels(facts)),
        ("memory", memory(facts)),
    ];
    match facts.gpus.as_slice() {
        [] => lines.push(("GPUs", facts.no_gpu.clone())),
        gpus => lines.extend(gpus.iter().map(|gpu| {
            let free = gpu.free_bytes.map_or_else(String::new, |bytes| format!(", {} free", shown(bytes)));
            let model = if gpu.model.is_empty() { String::new() } else { format!(", {}", gpu.model) };
            ("GPU", format!("{}{model}, computes in {}{free}", gpu.device, gpu.dtype))
        })),
    }
    if let Some(driver) = &facts.nvidia_driver {
        lines.push(("NVIDIA driver", driver.clone()));
    }
    lines.push(("sandbox", sandbox(facts)));
    lines.push(("models", folder(&facts.models)));
    lines.push(("visual tokens", folder(&facts.visual_tokens)));
    lines
}

fn kernels(facts: &Facts) -> String {
    let name = format!("{}; `--dtype auto` computes in {}", facts.kernels, facts.auto_dtype);
    match facts.failed_kernels.as_slice() {
        [] => name,
        failed => format!("{name}; wrong numbers from {}", failed.join(", ")),
    }
}

fn memory(facts: &Facts) -> String {
    let total = shown(facts.machine.memory_bytes);
    facts.free_bytes.map_or_else(|| total.clone(), |free| format!("{total}, {} free for this process", shown(free)))
}

fn sandbox(facts: &Facts) -> String {
    match (&facts.sandbox, &facts.sandbox_failure) {
        (_, Some(failure)) => format!("videos cannot be read: {failure}"),
        (missing, None) if missing.is_empty() => "videos are read in a process that can do nothing else".to_owned(),
        (missing, None) => missing.join("; "),
    }
}

fn folder(folder: &Folder) -> String {
    match (&folder.path, folder.free_bytes) {
        (Ok(path), Some(free)) => format!("{}, {} free", path.display(), shown(free)),
        (Ok(path), None) => path.display().to_string(),
        (Err(why), _) => why.clone(),
    }
}

fn object(facts: &Facts, warnings: &[String]) -> Value {
    let dir = |folder: &Folder| json!(folder.path.as_ref().ok().map(|path| path.to_string_lossy()));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "features": facts.features,
        "ffmpeg": facts.ffmpeg,
        "cpu": facts.machine.cpu,
        "cores": facts.machine.cores,
        "threads": facts.machine.threads,
        "kernels": facts.kernels,
        "failed_kernels": facts.failed_kernels,
        "auto_dtype": facts.auto_dtype,
        "memory_bytes": facts.machine.memory_bytes,
        "free_bytes": facts.free_bytes,
        "cuda_target": facts.cuda_target,
        "gpus": facts.gpus.iter().map(|gpu| &gpu.device).collect::<Vec<_>>(),
        "gpu_models": facts.gpus.iter().map(|gpu| &gpu.model).collect::<Vec<_>>(),
        "nvidia_driver": facts.nvidia_driver.as_deref().unwrap_or_default(),
        "sandbox_lacks": facts.sandbox,
        "model_cache_dir": dir(&facts.models),
        "model_cache_free_bytes": facts.models.free_bytes,
        "visual_cache_dir": dir(&facts.visual_tokens),
        "visual_cache_free_bytes": facts.visual_tokens.free_bytes,
        "advice": facts.advice,
        "warnings": warnings,
    })
}
