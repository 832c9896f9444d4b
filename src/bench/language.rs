//! Prefill of several lengths, and decode steps after each of them, of one answer and of several together.

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
            let (stage, amount, unit) = (Stage::Prefill, tokens as u64, Unit::Tokens);
            let work = Work { stage, amount, unit, depth: None, rows: None, flops, read_bytes: None };
            let of_bytes = language.prefill_multiplies_bytes();
            meter.report_against(work, seconds, meter.ceilings.products_per_sec(of_bytes, bench.dtype()))?;
        } else {
            prefill(bench, language, &embeds, &mut cache)?;
        }
        let mut caches = vec![cache];
        if bench.measures(Stage::Decode) {
            steps(bench, language, &counts, (Stage::Decode, tokens, answer), &mut caches, meter)?;
        }
        if bench.measures(Stage::BatchDecode) {
            caches[0].truncate(tokens);
            let forks = (1..bench.options.rows).map(|_| caches[0].fork()).collect::<Result<Vec<_>, _>>()?;
            caches.extend(forks);
            steps(bench, language, &counts, (Stage::BatchDecode, tokens, answer), &mut caches, meter)?;
        }
    }
    Ok(())
}

/// Measures decode steps of an answer for each of `caches`, which hold `depth` positions of a prompt.
fn steps(
    bench: &Bench,
    language: &Qwen2,
    counts: &Decoder,
    (stage, depth, answer): (Stage, usize, &[u32]),
    caches: &mut [KvCache],
    meter: &mut Meter<'_, '_>,
) -> Result<(), Error> {
    let rows = caches.len();
    decode(bench, language, &answer[..1], depth, caches)?;
    let (seconds, ()) = meter.time(stage, || decode(bench, language, answer, depth, caches))?;
    let flops = Some(counts.steps_flops(depth, answer.len(), rows));
    let read_bytes = Some(counts.steps_bytes(depth, answer.len(), rows));
    let (amount, unit) = ((rows * answer.len()) as u64, Unit::Tokens);
    let work = Work { stage, amount, unit, depth: Some(depth), rows: Some(rows), flops, read_bytes };
    meter.report(work, seconds, bench.dtype())
}

/// Runs a prompt into an empty cache.
fn prefill(bench: &Bench, language: &Qwen2, embeds: &Placed, cache: &mut KvCache) -> Result<(), Error> {
    cache.truncate(0);
    language.prefill(embeds, cache, bench.interrupt, &mut |_, _| ())?;
    bench.wait()
}

/// Runs `ids` one by one after `depth` positions, in all caches together.
fn decode(bench: &Bench, language: &Qwen2, ids: &[u32], depth: usize, caches: &mut [KvCache]) -> Result<(), Error> {
    let mut caches: Vec<&mut KvCache> = caches.iter_mut().collect();
    caches.iter_mut().for_each(|cache| cache.truncate(depth));
    for &id in ids {
        // What the ids mean does not matter; those of a step differ, as those of several answers do.
        let step: Vec<u32> = (0..caches.len()).map(|row| ids[(id as usize + row) % ids.len()]).collect();
        language.step_many(&step, &mut caches, bench.interrupt)?;
    }
    bench.wait()
}

/// Ids that are the same every time: what they mean does not matter, that they differ might.
fn random_ids(count: usize, vocab_len: usize) -> Vec<u32> {
    let mut random = Random::new(4);
    (0..count).map(|_| u32::try_from(random.below(vocab_len)).unwrap_or_default()).collect()
}
