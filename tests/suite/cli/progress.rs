//! Progress: often enough to be seen, on a terminal of any width, and nothing of it anywhere else.

use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, DeviceName, DtypeRequest, Placement};
use llava_video::interrupt::Interrupt;
use llava_video::model::{self, ClipFrames, LlavaVideo, Stage};
use llava_video::prompt::Tokenizer;
use llava_video::trace::Trace;

use crate::support::tiny_checkpoint;

/// One frame of a published model takes seconds on a CPU, so that frames are too coarse a measure.
#[test]
fn the_vision_tower_tells_after_every_layer() {
    let checkpoint = Checkpoint::open(tiny_checkpoint(), &[]).unwrap();
    let tokenizer = Tokenizer::open(&checkpoint.source).unwrap();
    let placement = Placement::open(DeviceName::Cpu, DtypeRequest::F32).unwrap();
    let batch_frames = placement.limits.vision_batch_frames;
    let devices = DeviceMap::single(placement, checkpoint.config.language.num_layers);
    let (interrupt, vocab_len) = (Interrupt::default(), model::vocab_len(&checkpoint, &tokenizer));
    let model = LlavaVideo::load(&checkpoint, vocab_len, true, &devices, &interrupt, &mut |_, _, _| ()).unwrap();
    let (frames, side, layers) = (2 * batch_frames + 1, checkpoint.vision.image_size, checkpoint.vision.num_layers);
    // Of equal ones, one would be encoded.
    let different = (0..frames).map(|frame| vec![frame as u8; 3 * side * side]).collect();
    let clip = ClipFrames::new(different, &(0..frames).collect::<Vec<_>>());
    let mut told = Vec::new();
    let mut progress = |stage, done, total| {
        assert_eq!((stage, total), (Stage::Vision, frames * layers));
        told.push(done);
    };
    model.encode_clip(&clip, &interrupt, &mut progress, &mut Trace::default()).unwrap();
    let steps = [batch_frames, batch_frames, 1].into_iter().flat_map(|batch| vec![batch; layers]);
    let expected: Vec<usize> = steps
        .scan(0, |done, step| {
            *done += step;
            Some(*done)
        })
        .collect();
    assert_eq!((told[0], &told[1..]), (0, &expected[..]));
}

/// The real binary on a terminal of 38 columns, which `script` gives it.
#[cfg(target_os = "linux")]
#[test]
fn no_line_is_wider_than_the_terminal() {
    use crate::support::{clip, command};
    let clip = clip("clip1-h264.mp4");
    let program = env!("CARGO_BIN_EXE_llava-video");
    let ask = format!(
        "stty rows 24 cols 38; '{program}' ask '{}' 'describe this video' -m demo --device cpu",
        clip.display()
    );
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &ask, "/dev/null"]).env("TERM", "xterm").stdin(std::process::Stdio::null());
    for (name, value) in command().get_envs().filter_map(|(name, value)| Some((name, value?))) {
        script.env(name, value);
    }
    let output = script.output().unwrap();
    let screen = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{screen}");
    let mut bars = screen.split(['\r', '\n']).filter(|line| line.contains(['█', '░'])).peekable();
    assert!(bars.peek().is_some_and(|bar| bar.contains("decoding")), "{screen:?}");
    for bar in bars {
        let line = bar.trim_start_matches("\x1b[J");
        assert!(line.chars().count() < 38 && !line.contains('\x1b'), "{line:?}");
    }
    assert!(screen.contains("\r\x1b[J"), "{screen:?}");
    assert!(screen.ends_with("A cyan star moves left. The background is striped blue.\r\n"), "{screen:?}");
}
