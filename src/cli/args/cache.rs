//! The arguments of `cache`, and the size that every command which uses the cache shares with it.

use bytesize::ByteSize;
use clap::{Args, Subcommand};

use super::help::heading::DEVICES;
use super::values::size;

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print where the cache is, how many entries it holds, and how much room they take.
    Info(CacheInfoArgs),
    /// Remove all entries.
    Clear,
    /// Remove the least recently used entries beyond --cache-size, and what killed runs left unfinished.
    Prune(CacheSizeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CacheInfoArgs {
    #[command(flatten)]
    pub(crate) size: CacheSizeArgs,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How much the cache may hold.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct CacheSizeArgs {
    /// Keep at most this much of visual tokens on disk, such as 20GB; 0 keeps none.
    #[arg(long, value_name = "SIZE", default_value = "10GB", env = "LLAVA_VIDEO_CACHE_SIZE", value_parser = size)]
    #[arg(help_heading = DEVICES)]
    cache_size: ByteSize,
}

impl CacheSizeArgs {
    /// The most that all entries may take.
    pub(crate) fn cap_bytes(self) -> u64 {
        self.cache_size.as_u64()
    }
}

/// Whether visual tokens are kept between runs, and how much of them.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct KeepArgs {
    /// Use no visual tokens from disk, and keep none.
    #[arg(long, help_heading = DEVICES)]
    no_cache: bool,

    #[command(flatten)]
    size: CacheSizeArgs,
}

impl KeepArgs {
    /// The most that may be kept; `None` where nothing is.
    pub(crate) fn cap_bytes(self) -> Option<u64> {
        Some(self.size.cap_bytes()).filter(|&bytes| bytes > 0 && !self.no_cache)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use llava_video::engine::visual_cache::DEFAULT_CAP_BYTES;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn the_default_is_the_librarys() {
        let cli = Cli::try_parse_from(["llava-video", "cache", "prune"]).expect("a command");
        let Command::Cache(CacheCommand::Prune(size)) = cli.command else { panic!("another command") };
        assert_eq!(size.cap_bytes(), DEFAULT_CAP_BYTES);
    }
}
