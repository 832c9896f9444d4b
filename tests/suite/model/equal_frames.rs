//! Frames of equal content go through the vision tower once, wherever in the clip they are, and the tokens are those of
//! encoding each, bit for bit.

use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, DeviceName, DtypeRequest, Placement};
use llava_video::interrupt::Interrupt;
use llava_video::model::{self, ClipFrames, LlavaVideo};
use llava_video::prompt::Tokenizer;
use llava_video::trace::Trace;
use llava_video::vision::preprocess;

use crate::support::Case;

/// Newlines in a grid, one at the end of all, and slow/fast pooling.
const CASES: [&str; 3] = ["grid_bilinear_s2_a", "one_token_max_s2_b", "faster_grid_bilinear_s2_a"];

fn encode(model: &LlavaVideo, clip: &ClipFrames) -> Vec<u32> {
    let tokens = model.encode_clip(clip, &Interrupt::default(), &mut |_, _, _| (), &mut Trace::default()).unwrap();
    let tokens = tokens.tensor().to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap();
    tokens.to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn frames_of_equal_content_are_encoded_once_with_the_bits_of_each() {
    for case in CASES.map(Case::load) {
        let dir = case.checkpoint();
        let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
        let tokenizer = Tokenizer::open(&checkpoint.source).unwrap();
        let (frames, width, height) = case.frames();
        let size = checkpoint.vision.image_size;
        let different: Vec<_> = frames.iter().map(|frame| preprocess::resize(frame, width, height, size)).collect();
        for dtype in [DtypeRequest::F32, DtypeRequest::Bf16] {
            let placement = Placement::open(DeviceName::Cpu, dtype).unwrap();
            let devices = DeviceMap::single(placement, checkpoint.config.language.num_layers);
            let (interrupt, vocab_len) = (Interrupt::default(), model::vocab_len(&checkpoint, &tokenizer));
            let model = LlavaVideo::load(&checkpoint, vocab_len, true, &devices, &interrupt, &mut |_, _, _| ());
            let model = model.unwrap();
            for (shown, encoded) in [
                (&[0, 1, 0, 1, 2, 0, 2][..], &[0, 1, 2][..]),
                (&[2, 2, 2, 0, 2], &[2, 0]),
                (&[1, 1, 1, 1], &[1]),
                (&[0, 1, 2], &[0, 1, 2]),
            ] {
                let each: Vec<_> = shown.iter().map(|&frame: &usize| different[frame].clone()).collect();
                let mut apart = ClipFrames { distinct: each.clone(), slots: (0..each.len()).collect() };
                apart.slots.extend(apart.slots.last().copied());
                // Sampled at every second index, and the last one twice.
                let mut indices: Vec<usize> = (0..each.len()).map(|frame| 2 * frame).collect();
                indices.extend(indices.last().copied());
                let once = ClipFrames::new(each, &indices);
                assert_eq!(once.frames_encoded(), encoded.len());
                assert!(once.distinct.iter().eq(encoded.iter().map(|&frame: &usize| &different[frame])));
                assert!(encode(&model, &once) == encode(&model, &apart), "{} {shown:?} {dtype:?}", case.name);
            }
        }
    }
}
