//! A look ahead at streams that a container announces late.
//!
//! FFmpeg decodes a little of every stream to learn about it, within the limits it is told for each. Of a container
//! without a header (MPEG-TS, MPEG-PS, FLV) it does not know the streams when it is told, and decodes those that appear
//! later without a limit. So their first pictures are decoded here first, within the limit.

use std::collections::BTreeMap;

use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;

use super::decoder::{Decoder, Received};
use super::ffi::{AGAIN, END, Packet, Picture, check};
use crate::video::error::Fault;

/// Bytes of packets that are looked at; FFmpeg's own `probesize`.
const MAX_BYTES: usize = 5_000_000;

/// Whether a container may announce streams later than in its header.
pub(crate) fn may_bring_streams(input: &Input) -> bool {
    // SAFETY: an open context.
    unsafe { (*input.as_ptr()).ctx_flags & ffi::AVFMTCTX_NOHEADER != 0 }
}

/// Whether a first picture within `max_pixels` came out of every video stream that was not known at first. Reads on in
/// `input`, which is used up.
pub(crate) fn late_streams_fit(mut input: Input, max_pixels: u64) -> Result<bool, Fault> {
    // SAFETY: an open context.
    let known = unsafe { (*input.as_ptr()).nb_streams as usize };
    // By stream; `None` once a picture came out.
    let mut decoders: BTreeMap<usize, Option<Decoder>> = BTreeMap::new();
    let (mut packet, mut picture) = (Packet::new()?, Picture::new()?);
    let mut bytes = 0;
    while bytes < MAX_BYTES {
        packet.clear();
        // SAFETY: an open context and an empty packet.
        match check(unsafe { ffi::av_read_frame(input.as_mut_ptr(), packet.as_mut_ptr()) }) {
            Ok(_) => {}
            Err(AGAIN) => {
                bytes += 1;
                continue;
            }
            Err(END) => break,
            // What comes after damage is probed no more than what comes after the end.
            Err(_) => break,
        }
        bytes += packet.data().len().max(1);
        let number = packet.stream();
        // SAFETY: the packet's stream is one of an open context's, and has parameters.
        let (parameters, time_base) = unsafe {
            let stream = *(*input.as_ptr()).streams.add(number);
            ((*stream).codecpar, (*stream).time_base)
        };
        // SAFETY: as above.
        let is_video = unsafe { (*parameters).codec_type == ffi::AVMediaType::AVMEDIA_TYPE_VIDEO };
        if number < known || !is_video {
            continue;
        }
        let slot = match decoders.entry(number) {
            std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => {
                // SAFETY: the parameters are those of a stream of an open context.
                match unsafe { Decoder::open(parameters, time_base, 1, max_pixels) } {
                    Ok(decoder) => slot.insert(Some(decoder)),
                    // Without a decoder FFmpeg cannot probe, either.
                    Err(Fault(ffi::AVERROR_DECODER_NOT_FOUND)) => slot.insert(None),
                    Err(_) => return Ok(false),
                }
            }
        };
        if let Some(decoder) = slot {
            // What cannot be decoded shows in that no picture comes.
            let _ = decoder.send(Some(&packet));
            if matches!(decoder.receive(&mut picture), Ok(Received::Picture)) {
                *slot = None;
            }
        }
    }
    // A decoder may hold its only picture back until the end.
    let mut gives_picture = |decoder: &mut Decoder| {
        decoder.send(None).is_ok() && matches!(decoder.receive(&mut picture), Ok(Received::Picture))
    };
    Ok(decoders.values_mut().flatten().all(&mut gives_picture))
}
