//! What `bench` prints for people: what is measured on what, and a line for each measurement.

use llava_video::bench::{Row, Unit};
use llava_video::size::{counted, shown};

use super::record::Report;

/// Lines above the measurements, the headings of their columns last.
pub(super) fn head(report: &Report<'_>) -> Vec<String> {
    let (machine, bench) = (&report.machine, report.bench);
    let model = bench.checkpoint().source.path().display();
    let quantize = report.args.quantize.quantize.map(|format| format!(", quantized to {}", format.name()));
    let (cores, threads) = (counted(machine.cores, "core"), counted(machine.threads, "thread"));
    let mut lines = vec![
        format!("{:<14}{model}{}", "model", quantize.unwrap_or_default()),
        format!("{:<14}{}, {cores}, {threads}, {}", "machine", machine.cpu, shown(machine.memory_bytes)),
        format!(
            "{:<14}{} on {}, kernels: {}",
            "arithmetic",
            bench.devices().dtype_name(),
            bench.devices().names(),
            report.kernels
        ),
    ];
    let peak = report.peak_flops_per_sec().map(|peak| format!("products {} GFLOP/s", digits(peak / 1e9)));
    let read = report.ceilings.read_bytes_per_sec.map(|read| format!("reading {} GB/s", digits(read / 1e9)));
    let probed: Vec<String> = peak.into_iter().chain(read).collect();
    if !probed.is_empty() {
        lines.push(format!("{:<14}{}", "probed", probed.join(", ")));
    }
    lines.push(String::new());
    lines.push(columns(
        ["stage", "work", "median", "min - max", "rate", "speed", "share", "peak RSS"].map(str::to_owned),
    ));
    lines
}

/// One measurement.
pub(super) fn line(row: &Row) -> String {
    let (min_secs, max_secs) = row.range_secs();
    let amount = usize::try_from(row.work.amount).unwrap_or(usize::MAX);
    let work = match (row.work.unit, row.work.depth) {
        (Unit::Bytes, _) => shown(row.work.amount),
        (Unit::Frames, _) => counted(amount, "frame"),
        (Unit::Tokens, None) => counted(amount, "token"),
        (Unit::Tokens, Some(depth)) => match row.work.rows.filter(|&rows| rows > 1) {
            Some(rows) => format!("{rows}x{} after {depth}", amount / rows),
            None => format!("{amount} after {depth}"),
        },
    };
    let rate = match row.work.unit {
        Unit::Bytes => format!("{} GB/s", digits(row.per_second() / 1e9)),
        unit => format!("{} {}/s", digits(row.per_second()), unit.name()),
    };
    // What bounds it: reading, where that does, else computing.
    let computed = || row.flops_per_sec().map(|flops| format!("{} GFLOP/s", digits(flops / 1e9)));
    let speed = row.read_bytes_per_sec().map(|read| format!("{} GB/s", digits(read / 1e9))).or_else(computed);
    let share = row.share_of_read().or(row.share_of_peak()).map(|share| format!("{:.0} %", 100.0 * share));
    columns([
        row.work.stage.name().to_owned(),
        work,
        time(row.median_secs()),
        format!("{} - {}", time(min_secs), time(max_secs)),
        rate,
        speed.unwrap_or_default(),
        share.unwrap_or_default(),
        row.peak_rss_bytes.map_or_else(String::new, shown),
    ])
}

fn columns([stage, work, median, range, rate, speed, share, rss]: [String; 8]) -> String {
    let line = format!("{stage:<14}{work:<15}{median:>9}{range:>20}{rate:>17}{speed:>15}{share:>7}{rss:>10}");
    line.trim_end().to_owned()
}

/// A time in the unit that suits it.
fn time(secs: f64) -> String {
    match secs {
        s if s < 1e-3 => format!("{} µs", digits(s * 1e6)),
        s if s < 1.0 => format!("{} ms", digits(s * 1e3)),
        s => format!("{} s", digits(s)),
    }
}

/// About three digits, which is more than a measurement is worth.
fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use llava_video::bench::{Stage, Work};

    use super::*;

    #[test]
    fn times_and_rates_have_three_digits() {
        assert_eq!([1.5e-6, 0.0123, 0.5, 3.256, 123.4].map(time), ["1.50 µs", "12.3 ms", "500 ms", "3.26 s", "123 s"]);
    }

    #[test]
    fn lines_stand_under_their_headings() {
        let work = |stage, amount, unit, depth: Option<usize>| {
            let (rows, read_bytes) = (depth.map(|_| 1), depth.map(|_| 20_000_000_000));
            Work { stage, amount, unit, depth, rows, flops: Some(40_000_000_000), read_bytes }
        };
        let row = |work| Row {
            work,
            seconds: vec![1.0, 0.5, 2.0],
            peak_flops_per_sec: Some(80e9),
            peak_read_bytes_per_sec: Some(40e9),
            peak_rss_bytes: Some(16_060_000_000),
        };
        let lines = [
            line(&row(work(Stage::Tower, 1, Unit::Frames, None))),
            line(&row(work(Stage::Decode, 16, Unit::Tokens, Some(2048)))),
            line(&row(Work { rows: Some(8), ..work(Stage::BatchDecode, 128, Unit::Tokens, Some(2048)) })),
        ];
        assert_eq!(
            lines,
            [
                "tower         1 frame           1.00 s     500 ms - 2.00 s    \
                 1.00 frames/s   40.0 GFLOP/s   50 %   16.1 GB",
                "decode        16 after 2048     1.00 s     500 ms - 2.00 s    \
                 16.0 tokens/s      20.0 GB/s   50 %   16.1 GB",
                "batch-decode  8x16 after 2048   1.00 s     500 ms - 2.00 s     \
                 128 tokens/s      20.0 GB/s   50 %   16.1 GB",
            ]
        );
    }
}
