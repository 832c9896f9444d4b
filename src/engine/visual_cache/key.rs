//! What visual tokens are the tokens of: everything that decides their bits, as one text and the hash of it.

use std::path::Path;

use candle_core::{DType, Device};

use super::content::Content;
use super::error::Error;
use crate::checkpoint::{Checkpoint, Identity};
use crate::device::{Placement, built_in_features};
use crate::quantization::{Quantization, Scheme};
use crate::video::ffmpeg_versions;

/// Raise it when visual tokens come out with other bits than before (kernels, order of sums, preprocessing, decoding),
/// when entries are written otherwise, or when their facts have other keys.
const VERSION: u32 = 2;

/// Which frames were asked for. Which ones these are follows from it and the content of the clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AskedFrames<'a> {
    /// Sampled from a part of the clip.
    Part {
        /// From this moment on.
        start_secs: f64,
        /// Before this moment; infinite: to the end.
        end_secs: f64,
        /// At most so many.
        max_frames: usize,
        /// Frames per second of the clip, if it was asked for by rate.
        fps: Option<f64>,
    },
    /// Those shown at these moments, in seconds.
    Moments(&'a [f64]),
    /// A still picture, cut into tiles.
    Picture,
}

/// Everything that decides the bits of visual tokens.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// The clip or picture.
    pub content: &'a Content,
    /// Which of its frames.
    pub frames: AskedFrames<'a>,
    /// Frames per second of a directory of pictures.
    pub image_fps: f64,
    /// Whether a damaged clip is refused.
    pub is_strict: bool,
    /// The checkpoint with overrides applied; its config says how patches become tokens.
    pub checkpoint: &'a Checkpoint,
    /// Which weights it holds.
    pub identity: &'a Identity,
    /// How weights are held.
    pub scheme: Option<Scheme>,
    /// Where the vision tower runs, and in which arithmetic.
    pub placement: &'a Placement,
}

/// Names an entry of the cache, and says what it must hold.
#[derive(Debug, Clone)]
pub struct Key {
    name: String,
    text: String,
    /// The arithmetic.
    dtype: DType,
    /// Width of the decoder.
    width: usize,
    content: Content,
    identity: Identity,
}

impl Key {
    /// The key of what `parts` describe.
    pub fn new(parts: &KeyParts<'_>) -> Self {
        let KeyParts { content, frames, image_fps, is_strict, checkpoint, identity, scheme, placement } = *parts;
        let config = &checkpoint.config;
        let rule = match frames {
            AskedFrames::Picture => format!("{:?}", config.pictures),
            _ => format!("{:?}", config.video_tokens),
        };
        let quantization = scheme.filter(|scheme| scheme.vision).map(|scheme| scheme.quantization);
        // The derived forms name every field, so that one that is added later cannot be forgotten here.
        let lines = [
            ("version", format!("{VERSION}, llava-video {}", env!("CARGO_PKG_VERSION"))),
            ("content", content.to_hex()),
            ("frames", format!("{frames:?}, image_fps {image_fps:?}, strict {is_strict}")),
            ("rule", rule),
            ("tower", format!("{:?}, {:?}, {:?}", config.layout, config.vision, checkpoint.vision)),
            ("projector", format!("{:?}", checkpoint.projector)),
            ("checkpoint", identity.text().to_owned()),
            ("quantization", quantization.map_or("as stored", Quantization::name).to_owned()),
            ("arithmetic", arithmetic(placement)),
            ("ffmpeg", ffmpeg_versions()),
        ];
        let text: String = lines.map(|(label, value)| format!("{label}: {value}\n")).concat();
        Self {
            name: blake3::hash(text.as_bytes()).to_string(),
            text,
            dtype: placement.dtype,
            width: config.language.hidden_size,
            content: content.clone(),
            identity: identity.clone(),
        }
    }

    /// 256 bits in hexadecimal digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is hashed, for whoever wants to know why two keys differ.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Whether clip and checkpoint are still what the key says. Tokens that were computed meanwhile are of both.
    pub(super) fn check_current(&self) -> Result<(), Error> {
        let changed = |path: &Path| Error::Changed { path: path.to_owned() };
        let first = self.content.changed().or_else(|| self.identity.changed());
        first.map_or(Ok(()), |path| Err(changed(path)))
    }
}

/// The device, its arithmetic and which kernels it runs.
fn arithmetic(placement: &Placement) -> String {
    let device = match &placement.device {
        Device::Cpu => format!("cpu {} {}", std::env::consts::ARCH, cpu_features().join(" ")),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => {
            let stream = device.cuda_stream();
            let context = stream.context();
            format!("cuda {:?} {:?}", context.name(), context.compute_capability())
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => "cuda".to_owned(),
        Device::Metal(_) => "metal".to_owned(),
    };
    let (dtype, batch_frames) = (placement.dtype_name(), placement.limits.vision_batch_frames);
    let kernels = placement.kernels_name();
    format!("{device}, {dtype} by {kernels}, {batch_frames} frames at once, features {:?}", built_in_features())
}

/// What kernels choose their instructions by: a cache may lie on a disk that different machines share.
fn cpu_features() -> Vec<&'static str> {
    macro_rules! detected {
        ($is_detected:ident, $($name:tt),*) => {
            [$(($name, std::arch::$is_detected!($name))),*]
        };
    }
    #[cfg(target_arch = "x86_64")]
    let features = detected!(
        is_x86_feature_detected,
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512vl",
        "avx512dq",
        "avx512vnni",
        "avx512bf16",
        "avx512fp16"
    );
    #[cfg(target_arch = "aarch64")]
    let features = detected!(is_aarch64_feature_detected, "neon", "fp16", "bf16", "dotprod", "i8mm", "sve");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter_map(|(name, is_detected)| is_detected.then_some(name)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::checkpoint::ConfigOverride;
    use crate::device::{DeviceName, DtypeRequest};
    use crate::interrupt::Interrupt;

    /// A key that differs with `number`, of a clip at `path`.
    pub(in super::super) fn numbered_key(path: &Path, number: usize) -> Key {
        let fixture = Fixture::new(path, &[]);
        let frames = AskedFrames::Part { start_secs: 0.0, end_secs: f64::INFINITY, max_frames: number, fps: None };
        Key::new(&KeyParts { frames, ..fixture.parts() })
    }

    /// The same key, of tokens of another dtype and width.
    pub(in super::super) fn expecting(key: &Key, dtype: DType, width: usize) -> Key {
        Key { dtype, width, ..key.clone() }
    }

    struct Fixture {
        content: Content,
        checkpoint: Checkpoint,
        identity: Identity,
        placement: Placement,
    }

    impl Fixture {
        fn new(clip: &Path, overrides: &[ConfigOverride]) -> Self {
            let dir =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/ckpt/a_9x9_untied_sharded_bf16");
            let checkpoint = Checkpoint::open(&dir, overrides).expect("a golden checkpoint");
            Self {
                content: Content::of(clip, &Interrupt::default()).expect("a clip"),
                identity: Identity::of(&checkpoint).expect("weights"),
                checkpoint,
                placement: Placement::open(DeviceName::Cpu, DtypeRequest::F32).expect("the CPU is always there"),
            }
        }

        fn parts(&self) -> KeyParts<'_> {
            let Self { content, checkpoint, identity, placement } = self;
            let frames = AskedFrames::Moments(&[]);
            KeyParts {
                content,
                frames,
                image_fps: 1.0,
                is_strict: false,
                checkpoint,
                identity,
                scheme: None,
                placement,
            }
        }
    }

    #[test]
    fn every_part_makes_another_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let (clip, other) = (dir.path().join("clip"), dir.path().join("other"));
        std::fs::write(&clip, "frames").and_then(|()| std::fs::write(&other, "Frames")).expect("two clips");
        let fixture = Fixture::new(&clip, &[]);
        let parts = fixture.parts();
        let mut keys = vec![Key::new(&parts)];
        let part = |start_secs, end_secs, max_frames, fps| AskedFrames::Part { start_secs, end_secs, max_frames, fps };
        let moved = f64::from_bits(0.1f64.to_bits() + 1);
        for frames in [
            AskedFrames::Picture,
            AskedFrames::Moments(&[0.1]),
            AskedFrames::Moments(&[moved]),
            part(0.0, 1.0, 8, None),
            part(0.1, 1.0, 8, None),
            part(0.0, f64::INFINITY, 8, None),
            part(0.0, 1.0, 9, None),
            part(0.0, 1.0, 8, Some(8.0)),
        ] {
            keys.push(Key::new(&KeyParts { frames, ..parts }));
        }
        keys.push(Key::new(&KeyParts { image_fps: 2.0, ..parts }));
        keys.push(Key::new(&KeyParts { is_strict: true, ..parts }));
        let quantized = |quantization| Some(Scheme { quantization, vision: true });
        for quantization in Quantization::ALL {
            keys.push(Key::new(&KeyParts { scheme: quantized(quantization), ..parts }));
        }
        let bf16 = Placement::open(DeviceName::Cpu, DtypeRequest::Bf16).expect("the CPU is always there");
        keys.push(Key::new(&KeyParts { placement: &bf16, ..parts }));
        let overrides = [
            ("mm_spatial_pool_mode", json!("average")),
            ("mm_spatial_pool_mode", json!("max")),
            ("mm_spatial_pool_stride", json!(3)),
            ("mm_newline_position", json!("frame")),
        ];
        for (key, value) in overrides {
            let fixture = Fixture::new(&clip, &[ConfigOverride { key: key.to_owned(), value }]);
            keys.push(Key::new(&fixture.parts()));
        }
        let demo = Checkpoint::open(crate::demo::source(), &[]).expect("part of the program");
        let elsewhere = Identity::of(&demo).expect("weights");
        keys.push(Key::new(&KeyParts { identity: &elsewhere, ..parts }));
        keys.push(Key::new(&Fixture::new(&other, &[]).parts()));
        let names: std::collections::BTreeSet<&str> = keys.iter().map(Key::name).collect();
        assert_eq!(names.len(), keys.len());
        assert!(names.iter().all(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())));
        assert_eq!(Key::new(&parts).text(), keys[0].text(), "the same parts make the same key");
    }

    /// The decoder's bits say nothing about the tokens.
    #[test]
    fn a_quantized_decoder_shares_the_entry() {
        let dir = tempfile::tempdir().expect("a folder");
        let clip = dir.path().join("clip");
        std::fs::write(&clip, "frames").expect("a clip");
        let fixture = Fixture::new(&clip, &[]);
        let scheme = Some(Scheme { quantization: Quantization::Q4K, vision: false });
        let key = Key::new(&KeyParts { scheme, ..fixture.parts() });
        assert_eq!(key.name(), Key::new(&fixture.parts()).name());
    }

    #[test]
    fn a_clip_that_changes_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let clip = dir.path().join("clip");
        std::fs::write(&clip, "frames").expect("a clip");
        let key = numbered_key(&clip, 1);
        assert!(key.check_current().is_ok());
        std::fs::write(&clip, "other frames").expect("a clip");
        assert!(matches!(key.check_current(), Err(Error::Changed { path }) if path == clip));
    }
}
