//! The arguments of `model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use llava_video::hub::DEFAULT_MODEL;
use llava_video::quantization::Quantization;

use super::models;
use super::named::one_of;
use super::values::whole_number;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Download a checkpoint from the hub, or what is missing of it, and print the directory that holds it.
    #[command(after_help = HUB_VARIABLES)]
    Pull(PullArgs),
    /// List cached checkpoints, and known ones that could be downloaded.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Print what a checkpoint is and the memory it takes, by frames and dtype; reads only its headers.
    Info(InfoArgs),
    /// Write a checkpoint to one GGUF file with fewer bits: tower, language model, tokenizer and config.
    Quantize(ModelQuantizeArgs),
    /// Compare the cached files with their checksums.
    Verify(VerifyArgs),
    /// Remove a checkpoint, or one revision of it, from the cache.
    Rm(RmArgs),
}

const HUB_VARIABLES: &str = "Environment: HF_HOME or HF_HUB_CACHE (where models are kept), HF_TOKEN (access token; \
    else the file that `hf auth login` writes), HF_ENDPOINT (another server), HF_HUB_OFFLINE=1, \
    HF_HUB_DOWNLOAD_TIMEOUT (seconds without a byte before a connection is given up), HTTPS_PROXY and NO_PROXY.";

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Repository of the hub, at a branch, tag or commit.
    #[arg(value_name = "REPO[@REV]", default_value = DEFAULT_MODEL, add = models::known())]
    pub(crate) model: String,

    /// Open no connection; succeed only if everything is cached.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Give up after this many failures in a row without a byte of progress. [default: 8]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>)]
    pub(crate) retries: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// A directory, a GGUF file, or a repository; for one that is not cached, only the small files are downloaded.
    #[arg(value_name = "DIR|FILE|REPO[@REV]", default_value = DEFAULT_MODEL, add = models::usable())]
    pub(crate) model: String,

    /// Open no connection; succeed only if it is cached.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A cached repository.
    #[arg(value_name = "REPO[@REV]", default_value = DEFAULT_MODEL, add = models::cached())]
    pub(crate) model: String,

    /// Download damaged files again.
    #[arg(long)]
    pub(crate) repair: bool,

    /// Open no connection.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// A cached repository; with a revision, only what no other revision needs.
    #[arg(value_name = "REPO[@REV]", add = models::cached())]
    pub(crate) model: String,

    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelQuantizeArgs {
    /// Checkpoint: a directory, or a repository of the hub, which is downloaded on first use.
    #[arg(value_name = "DIR|REPO[@REV]", add = models::usable())]
    pub(crate) model: String,

    /// The file to write.
    #[arg(short, long, value_name = "FILE.gguf")]
    pub(crate) output: PathBuf,

    /// Format of the language model's weights.
    #[arg(long, value_parser = one_of::<Quantization>(), value_name = "FORMAT", default_value = "q4_k")]
    pub(crate) quantize: Quantization,

    /// Quantize the vision tower and the projector, too.
    #[arg(long)]
    pub(crate) quantize_vision: bool,

    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
}
