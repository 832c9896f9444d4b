//! How long the child may take: processor time against endless loops, wall time against deadlocks.

use std::process::ExitStatus;
use std::time::Duration;

use super::super::info::ClipInfo;

/// What every call may take, in seconds of processor time.
const BASE_CPU_SECS: f64 = 10.0;

/// More per byte of the file: a file is read at 10 MB/s at least.
const CPU_SECS_PER_BYTE: f64 = 1e-7;

/// More per pixel of the whole clip: some twenty times what H.264 takes (8 ms for a frame of 1920x1080).
const CPU_SECS_PER_PIXEL: f64 = 1e-7;

/// Wall time that a unit of processor time may take on a busy machine.
const WALL_PER_CPU: f64 = 6.0;

/// No call takes longer than this, whatever a container claims.
const MAX_CPU_SECS: f64 = 6.0 * 3600.0;

/// The limits of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) cpu_secs: u64,
    pub(super) wall: Duration,
}

impl Budget {
    /// To open a file: at most all of its packets are read.
    pub(super) fn to_open(file_bytes: u64, timeout: Option<Duration>) -> Self {
        Self::new(file_bytes, 0.0, timeout)
    }

    /// To read frames: at most the whole clip is decoded.
    pub(super) fn to_read(file_bytes: u64, info: &ClipInfo, timeout: Option<Duration>) -> Self {
        Self::new(file_bytes, info.frame_count as f64 * f64::from(info.width) * f64::from(info.height), timeout)
    }

    fn new(file_bytes: u64, pixels: f64, timeout: Option<Duration>) -> Self {
        let cpu_secs = BASE_CPU_SECS + file_bytes as f64 * CPU_SECS_PER_BYTE + pixels * CPU_SECS_PER_PIXEL;
        let cpu_secs = cpu_secs.min(MAX_CPU_SECS);
        match timeout {
            None => Self { cpu_secs: cpu_secs.ceil() as u64, wall: Duration::from_secs_f64(cpu_secs * WALL_PER_CPU) },
            // Many threads may burn more processor time than passes on the wall.
            Some(wall) => Self { cpu_secs: (wall.as_secs_f64() * 64.0).ceil().min(MAX_CPU_SECS) as u64, wall },
        }
    }
}

/// Whether the child was ended for using up its processor time.
pub(super) fn ran_out_of_cpu(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        status.signal() == Some(libc::SIGXCPU)
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

/// Allows this process `secs` more seconds of processor time.
pub(super) fn allow_cpu_secs(secs: u64) {
    #[cfg(unix)]
    {
        // SAFETY: plain C structures, filled by the calls they are passed to; zeros are valid values of both.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
            let used = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + 1;
            let mut limit: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(libc::RLIMIT_CPU, &raw mut limit);
            limit.rlim_cur = (secs + used as u64).min(limit.rlim_max);
            libc::setrlimit(libc::RLIMIT_CPU, &raw const limit);
        }
    }
    #[cfg(not(unix))]
    {
        let _ = secs;
    }
}
