//! Prefill of several lengths, and decode steps after each of them.

use super::Bench;
use super::counts::Decoder;
use super::meter::Meter;
use super::row::{Unit, Work};
use super::stage::Stage;
use crate::checkpoint::generated::Random;
use crate::device::Placed;
use crate::engine::Error;
use crate::language::{KvCache, Qwen2};

/// Positions of the prompt that runs before the measured ones.
const WARM_UP_TOKENS: usize = 64;

/// Measures each length, and the steps after it.
pub(super) fn measure(bench: &Bench, language: &Qwen2, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let counts = Decoder::of(&bench.checkpoint, bench.vocab_len, &bench.devices);
    for &tokens in &bench.options.prompt_tokens {
        let ids = random_ids(tokens + bench.options.new_tokens, language.vocab_len());
        let (prompt, answer) = ids.split_at(tokens);
        let embeds = language.embed(prompt)?;
        let mut cache = language.new_cache(ids.len());
        prefill(bench, language, &language.embed(&prompt[..tokens.min(WARM_UP_TOKENS)])?, &mut cache)?;
        if bench.measures(Stage::Prefill) {
            let run = || prefill(bench, language, &embeds, &mut cache);
            let (seconds, ()) = meter.time(Stage::Prefill, run)?;
            let flops = Some(counts.prefill_flops(0, tokens));
            let work = work(Stage::Prefill, tokens, None, flops, None);
            meter.report(work, seconds, bench.dtype())?;
        } else {
            prefill(bench, language, &embeds, &mut cache)?;
        }
        if bench.measures(Stage::Decode) {
            let mut run = |ids: &[u32]| decode(bench, language, ids, tokens, &mut cache);
            run(&answer[..1])?;
            let (seconds, ()) = meter.time(Stage::Decode, || run(answer))?;
            let (flops, bytes) = (counts.steps_flops(tokens, answer.len()), counts.steps_bytes(tokens, answer.len()));
            let work = work(Stage::Decode, answer.len(), Some(tokens), Some(flops), Some(bytes));
            meter.report(work, seconds, bench.dtype())?;
        }
    }
    Ok(())
}

fn work(stage: Stage, tokens: usize, depth: Option<usize>, flops: Option<u64>, read_bytes: Option<u64>) -> Work {
    Work { stage, amount: tokens as u64, unit: Unit::Tokens, depth, flops, read_bytes }
}

/// Runs a prompt into an empty cache.
fn prefill(bench: &Bench, language: &Qwen2, embeds: &Placed, cache: &mut KvCache) -> Result<(), Error> {
    cache.truncate(0);
    language.prefill(embeds, cache, bench.interrupt, &mut |_, _| ())?;
    bench.wait()
}

/// Runs `ids` one by one after `depth` positions.
fn decode(bench: &Bench, language: &Qwen2, ids: &[u32], depth: usize, cache: &mut KvCache) -> Result<(), Error> {
    cache.truncate(depth);
    for &id in ids {
        language.step(id, cache, bench.interrupt)?;
    }
    bench.wait()
}

/// Ids that are the same every time: what they mean does not matter, that they differ might.
fn random_ids(count: usize, vocab_len: usize) -> Vec<u32> {
    let mut random = Random::new(4);
    (0..count).map(|_| u32::try_from(random.below(vocab_len)).unwrap_or_default()).collect()
}
