//! What `bench --json` prints; `docs/json.md` has the keys.

use llava_video::bench::{Bench, Ceilings, Machine, Row, Stage, Unit};
use serde_json::{Value, json};

use super::super::args::BenchArgs;

/// What is known before anything is measured.
pub(super) struct Report<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) bench: &'a Bench<'a>,
    pub(super) machine: Machine,
    pub(super) ceilings: Ceilings,
    /// What products are computed with.
    pub(super) kernels: String,
}

impl Report<'_> {
    /// Operations a second that the machine is capable of in the arithmetic of the tower, where all begins.
    pub(super) fn peak_flops_per_sec(&self) -> Option<f64> {
        let devices = self.bench.devices();
        self.ceilings.flops_per_sec(devices.placement(devices.vision_slot()).operand_dtype())
    }

    pub(super) fn to_json(&self, rows: &[Row], skipped: &[Stage], warnings: &[String]) -> Value {
        let (Self { args, bench, machine, .. }, devices) = (self, self.bench.devices());
        json!({
            "model": args.model,
            "size": args.preset().map(|preset| preset.name()),
            "weight_bytes": bench.checkpoint().weights.total_bytes(),
            "quantize": args.quantize.quantize.map(|quantization| quantization.name()),
            "device": devices.names(),
            "arithmetic": devices.dtype_name(),
            "kernels": self.kernels,
            "version": env!("CARGO_PKG_VERSION"),
            "machine": {
                "cpu": machine.cpu,
                "cores": machine.cores,
                "threads": machine.threads,
                "memory_bytes": machine.memory_bytes,
                "peak_flops_per_sec": self.peak_flops_per_sec(),
                "peak_int8_ops_per_sec": self.ceilings.int8_ops_per_sec,
                "read_bytes_per_sec": self.ceilings.read_bytes_per_sec,
            },
            "stages": rows.iter().map(measurement).collect::<Vec<_>>(),
            "skipped": skipped.iter().map(|stage| stage.name()).collect::<Vec<_>>(),
            "warnings": warnings,
        })
    }
}

fn measurement(row: &Row) -> Value {
    let work = &row.work;
    let amount_in = |unit: Unit| (work.unit == unit).then_some(work.amount);
    json!({
        "stage": work.stage.name(),
        "bytes": amount_in(Unit::Bytes),
        "sampled_frames": amount_in(Unit::Frames),
        "tokens": amount_in(Unit::Tokens),
        "depth": work.depth,
        "rows": work.rows,
        "seconds": row.seconds,
        "median_secs": row.median_secs(),
        "per_second": row.per_second(),
        "unit": work.unit.name(),
        "flops": work.flops,
        "share_of_peak": row.share_of_peak(),
        "read_bytes": work.read_bytes,
        "share_of_read": row.share_of_read(),
        "rss_bytes": row.peak_rss_bytes,
    })
}
