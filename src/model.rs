//! The loaded model: clip frames or pictures to visual tokens, prompt to embeddings.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};

use crate::checkpoint::{self, Checkpoint, Config, Layout};
use crate::device::{DeviceMap, Placed, Placement};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::language::Qwen2;
use crate::prompt::{Prompt, Segment, Tokenizer};
use crate::role::Role;
use crate::trace::Trace;
use crate::vision::anyres::{PictureLayout, PictureTokens};
use crate::vision::pool::{ExtraTokens, Pooling, VideoTokens};
use crate::vision::preprocess;
use crate::vision::{Projector, VisionTower};

/// A long stage, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading weights, counted in layers.
    Load,
    /// The vision tower, counted in layers of distinct frames, or of tiles of pictures.
    Vision,
    /// Prefill, counted in positions.
    Prefill,
}

/// Told how far a stage is: stage, done, total.
pub type Progress<'p> = dyn FnMut(Stage, usize, usize) + 'p;

/// The frames of one clip as the tower takes them: resized, each content once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipFrames {
    /// Frames that differ from each other in content, `[S, S, 3]` u8 each, in the order of their first use.
    pub distinct: Vec<Vec<u8>>,
    /// For each sampled frame in order, which of `distinct` it is.
    pub slots: Vec<usize>,
}

impl ClipFrames {
    /// Frames sampled at `indices` (ascending, repeats allowed), of which `frames` holds one for each value. Frames of
    /// equal content, such as slides and still scenes have, are kept once.
    pub fn new(frames: Vec<Vec<u8>>, indices: &[usize]) -> Self {
        let values = crate::video::distinct(indices);
        debug_assert_eq!(values.len(), frames.len());
        // A map of whole frames compares by hash, and then by every byte.
        let mut numbers = HashMap::with_capacity(frames.len());
        let mut number_of = |frame| {
            let next = numbers.len();
            *numbers.entry(frame).or_insert(next)
        };
        let contents: Vec<usize> = frames.iter().map(|frame| number_of(frame.as_slice())).collect();
        let frame_at = |index| values.binary_search(index).ok();
        let slots = indices.iter().filter_map(frame_at).map(|frame| contents[frame]).collect();
        let mut distinct = Vec::with_capacity(numbers.len());
        for (frame, content) in frames.into_iter().zip(contents) {
            if content == distinct.len() {
                distinct.push(frame);
            }
        }
        Self { distinct, slots }
    }

    /// How many frames go through the vision tower.
    pub fn frames_encoded(&self) -> usize {
        self.distinct.len()
    }
}

/// One still picture as the tower takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureTiles {
    /// How its tiles are merged again.
    pub layout: PictureLayout,
    /// The whole picture and its tiles, `[S, S, 3]` u8 each.
    pub tiles: Vec<Vec<u8>>,
}

impl PictureTiles {
    /// Cuts a picture, packed RGB of the size that `layout` was made for.
    ///
    /// # Panics
    /// If `rgb` is of another size.
    pub fn new(layout: PictureLayout, rgb: &[u8]) -> Self {
        Self { tiles: layout.tiles(rgb), layout }
    }
}

/// The rule that turns pictures into visual tokens under this checkpoint's config.
///
/// # Errors
/// [`checkpoint::Error::Pictures`] where the config does not say how.
pub fn picture_tokens(checkpoint: &Checkpoint) -> Result<PictureTokens, Error> {
    let config = checkpoint.config.pictures.clone();
    let refused = |reason| checkpoint::Error::Pictures { path: checkpoint.config_path.clone(), reason };
    let vision = checkpoint.vision;
    Ok(PictureTokens::new(config.map_err(refused)?, vision.image_size, vision.grid()))
}

/// The rule that turns a clip into visual tokens under this checkpoint's config.
///
/// # Errors
/// [`Error::PoolStride`] if pooling would leave nothing.
pub fn video_tokens(checkpoint: &Checkpoint) -> Result<VideoTokens, Error> {
    let config = checkpoint.config.video_tokens;
    let grid = checkpoint.vision.grid();
    VideoTokens::new(config, grid).ok_or(Error::PoolStride { stride: config.pool_stride, grid })
}

/// How many ids can be generated. The original loader resizes the vocabulary to the tokenizer's length, special tokens
/// that it adds itself included (`load_pretrained_model` in `builder.py`); the HF class keeps all rows.
pub fn vocab_len(checkpoint: &Checkpoint, tokenizer: &Tokenizer) -> usize {
    match checkpoint.config.layout {
        Layout::HuggingFace => checkpoint.embedding_rows,
        Layout::Original => {
            let added = &checkpoint.config.loader_added_tokens;
            let new = added.iter().filter(|token| tokenizer.special_id(token).is_none()).count();
            (tokenizer.len() + new).min(checkpoint.embedding_rows)
        }
    }
}

/// Ids of the prompt that the repetition penalty counts. The HF class generates from `input_ids`, so transformers'
/// `RepetitionPenaltyLogitsProcessor` sees the whole prompt, the placeholder of visual tokens included. The original
/// class generates from embeddings and has no ids of its prompt.
pub fn penalized_prompt_ids(config: &Config, prompt: &Prompt, shows_pictures: bool) -> Vec<u32> {
    let Some(placeholders) = config.placeholders else { return Vec::new() };
    let placeholder = if shows_pictures { placeholders.picture } else { placeholders.video };
    prompt.ids_with_placeholder(placeholder.into()).into_iter().filter_map(|id| u32::try_from(id).ok()).collect()
}

/// What only clips and pictures need.
#[derive(Debug)]
struct VisionStack {
    tower: VisionTower,
    projector: Projector,
    rule: VideoTokens,
    extra: ExtraTokens,
    image_size: usize,
}

/// The model on its devices.
#[derive(Debug)]
pub struct LlavaVideo {
    devices: DeviceMap,
    vision: Option<VisionStack>,
    language: Qwen2,
}

impl LlavaVideo {
    /// Loads the weights: all of them, or the language model alone if `with_vision` is false.
    ///
    /// # Errors
    /// A tensor that cannot be loaded, pooling that leaves nothing, or an interrupt.
    pub fn load(
        checkpoint: &Checkpoint,
        vocab_len: usize,
        with_vision: bool,
        devices: &DeviceMap,
        interrupt: &Interrupt,
        progress: &mut Progress<'_>,
    ) -> Result<Self, Error> {
        let vision = match with_vision {
            true => Some(VisionStack::load(checkpoint, devices.placement(devices.vision_slot()))?),
            false => None,
        };
        let (config, weights) = (&checkpoint.config.language, &checkpoint.weights);
        let mut on_layer = |done, total| {
            progress(Stage::Load, done, total);
            Ok(interrupt.check()?)
        };
        let language = Qwen2::load(config, weights, vocab_len, devices, &mut on_layer)?;
        Ok(Self { devices: devices.clone(), vision, language })
    }

    /// Where its stages run.
    pub fn devices(&self) -> &DeviceMap {
        &self.devices
    }

    /// Whether it was loaded with the vision tower.
    pub fn has_tower(&self) -> bool {
        self.vision.is_some()
    }

    /// A clip's visual tokens `[N_v, D]`. The tower runs once per distinct frame, in batches; what is kept of a batch
    /// are pooled tokens, which every slot of the frame shares.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    ///
    /// # Panics
    /// If the model was loaded without vision.
    pub fn encode_clip(
        &self,
        clip: &ClipFrames,
        interrupt: &Interrupt,
        progress: &mut Progress<'_>,
        trace: &mut Trace,
    ) -> Result<Placed, Error> {
        let vision = self.vision.as_ref().expect("a model loaded with vision");
        let device_slot = self.devices.vision_slot();
        let placement = self.devices.placement(device_slot);
        let mut meter = vision.meter(clip.frames_encoded(), progress);
        let slots = clip.slots.iter().enumerate();
        let uses: Vec<_> = slots.map(|(slot, &frame)| (frame, vision.rule.pooling(slot))).collect();
        // A slot of each frame for each way in which it is pooled.
        let slots: BTreeMap<_, _> = uses.iter().enumerate().map(|(slot, &used)| (used, slot)).collect();
        let mut pooled = BTreeMap::new();
        let batch_frames = placement.limits.vision_batch_frames;
        for (batch_index, batch) in clip.distinct.chunks(batch_frames).enumerate() {
            let first = batch_index * batch_frames;
            let projected = vision.project(batch, &placement.device, interrupt, &mut meter, trace)?;
            // `Plain` comes before all other ways.
            for (&used, &slot) in slots.range((first, Pooling::Plain)..(first + batch.len(), Pooling::Plain)) {
                let patches = projected.narrow(0, used.0 - first, 1)?;
                pooled.insert(used, vision.rule.frames(&patches, slot, &vision.extra)?);
            }
        }
        let after = vision.rule.after_clip(&vision.extra)?;
        let in_order: Vec<&Tensor> = uses.iter().map(|used| &pooled[used]).chain(&after).collect();
        let sequence = Tensor::cat(&in_order, 0)?;
        trace.record("video_sequence", &sequence)?;
        Ok(Placed::new(sequence, device_slot))
    }

    /// Each picture's visual tokens `[N_v, D]`, in order.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    ///
    /// # Panics
    /// If the model was loaded without vision.
    pub fn encode_pictures(
        &self,
        pictures: &[&PictureTiles],
        interrupt: &Interrupt,
        progress: &mut Progress<'_>,
        trace: &mut Trace,
    ) -> Result<Vec<Placed>, Error> {
        let vision = self.vision.as_ref().expect("a model loaded with vision");
        let slot = self.devices.vision_slot();
        let placement = self.devices.placement(slot);
        let mut meter = vision.meter(pictures.iter().map(|picture| picture.tiles.len()).sum(), progress);
        let mut out = Vec::with_capacity(pictures.len());
        for picture in pictures {
            let mut projected = Vec::new();
            for batch in picture.tiles.chunks(placement.limits.vision_batch_frames) {
                projected.push(vision.project(batch, &placement.device, interrupt, &mut meter, trace)?);
            }
            let tokens = picture.layout.tokens(&Tensor::cat(&projected, 0)?, vision.extra.newline.as_ref())?;
            trace.record("picture_sequence", &tokens)?;
            out.push(Placed::new(tokens, slot));
        }
        Ok(out)
    }

    /// Embeds a prompt, visual tokens spliced in, one tensor for each of its visual segments: `[S, D]`.
    ///
    /// # Errors
    /// Another number of tensors than of visual segments, or a failing device.
    pub fn embed_prompt(&self, prompt: &Prompt, visual: &[Placed], trace: &mut Trace) -> Result<Placed, Error> {
        prompt.check_places(visual.len())?;
        let slot = self.devices.embedding_slot();
        let mut visual = visual.iter();
        let mut embed = |segment: &Segment| match segment {
            Segment::Tokens(ids) => Some(self.language.embed(ids)),
            Segment::Visual => visual.next().map(|tokens| self.devices.transfer(tokens.clone(), slot)),
        };
        let parts = prompt.segments.iter().filter_map(&mut embed).collect::<candle_core::Result<Vec<_>>>()?;
        let parts = parts.iter().map(|part| part.on(slot)).collect::<candle_core::Result<Vec<_>>>()?;
        let embeds = Tensor::cat(&parts, 0)?;
        trace.record("inputs_embeds", &embeds)?;
        Ok(Placed::new(embeds, slot))
    }

    /// The language model.
    pub fn language(&self) -> &Qwen2 {
        &self.language
    }
}

impl VisionStack {
    fn load(checkpoint: &Checkpoint, placement: &Placement) -> Result<Self, Error> {
        let token = |name: &str| {
            let name = Role::Token.tensor(name);
            match checkpoint.weights.shape(&name) {
                Some(_) => checkpoint.weights.load(&name, Some(placement.dtype), &placement.device).map(Some),
                None => Ok(None),
            }
        };
        Ok(Self {
            tower: VisionTower::load(checkpoint, placement)?,
            projector: Projector::load(checkpoint, placement)?,
            rule: video_tokens(checkpoint)?,
            extra: ExtraTokens { newline: token("image_newline")?, faster: token("faster_token")? },
            image_size: checkpoint.vision.image_size,
        })
    }

    /// Counts the tower's work on so many frames or tiles.
    fn meter<'m, 'p>(&self, frames: usize, progress: &'m mut Progress<'p>) -> Meter<'m, 'p> {
        progress(Stage::Vision, 0, frames * self.tower.num_layers());
        Meter { done: 0, total: frames * self.tower.num_layers(), progress }
    }

    /// Resized frames -> projected patch features `[T, P, D]`.
    fn project(
        &self,
        frames: &[Vec<u8>],
        device: &Device,
        interrupt: &Interrupt,
        meter: &mut Meter<'_, '_>,
        trace: &mut Trace,
    ) -> Result<Tensor, Error> {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let pixel_values = preprocess::pixel_values(&frames, self.image_size, device)?;
        trace.record("pixel_values", &pixel_values)?;
        let features = self.tower.forward(&pixel_values, interrupt, &mut || meter.add(frames.len()))?;
        trace.record("vision_features", &features)?;
        let projected = self.projector.forward(&features)?;
        trace.record("projected", &projected)?;
        Ok(projected)
    }
}

/// Layers of frames that went through the tower.
struct Meter<'m, 'p> {
    done: usize,
    total: usize,
    progress: &'m mut Progress<'p>,
}

impl Meter<'_, '_> {
    /// One more layer is done, of so many frames.
    fn add(&mut self, frames: usize) {
        self.done += frames;
        (self.progress)(Stage::Vision, self.done, self.total);
    }
}
