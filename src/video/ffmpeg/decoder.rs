//! A video decoder: packets in, pictures out.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use ffmpeg_next::ffi;

use super::ffi::{AGAIN, END, OUT_OF_MEMORY, Packet, Picture, check, extradata, text};
use super::idct;
use crate::video::codec::Codec;
use crate::video::error::Fault;

/// What a decoder has for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// A picture was filled.
    Picture,
    /// Nothing until the next packet.
    Hungry,
    /// Nothing any more.
    End,
}

/// An open `AVCodecContext`.
pub(crate) struct Decoder(NonNull<ffi::AVCodecContext>);

// SAFETY: the context belongs to the decoder alone; FFmpeg ties none to a thread.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Opens FFmpeg's default decoder for a stream, with `threads` threads of its own.
    ///
    /// Pictures of more than `max_pixels` pixels are refused by the decoder before it takes memory for them. With
    /// several threads an error in a picture's data is an error of the decoder: threads hand pictures over before their
    /// damage is known, and leave what was lost in them to chance. One thread patches pictures, and always in the same
    /// way.
    ///
    /// # Safety
    /// `parameters` points to the codec parameters of a stream.
    pub(crate) unsafe fn open(
        parameters: *const ffi::AVCodecParameters,
        time_base: ffi::AVRational,
        threads: usize,
        max_pixels: u64,
    ) -> Result<Decoder, Fault> {
        // SAFETY: valid parameters; looks their number up.
        let codec = unsafe { ffi::avcodec_find_decoder((*parameters).codec_id) };
        if codec.is_null() {
            return Err(Fault(ffi::AVERROR_DECODER_NOT_FOUND));
        }
        // SAFETY: allocates; NULL is handled.
        let context = NonNull::new(unsafe { ffi::avcodec_alloc_context3(codec) }).ok_or(OUT_OF_MEMORY)?;
        let mut decoder = Decoder(context);
        // SAFETY: both are valid; the parameters are copied.
        check(unsafe { ffi::avcodec_parameters_to_context(decoder.0.as_ptr(), parameters) })?;
        // SAFETY: returns a static string for every number.
        let name = unsafe { text(ffi::avcodec_get_name((*parameters).codec_id)) };
        // SAFETY: valid parameters.
        let transform =
            unsafe { idct::algorithm((*parameters).codec_id, (*parameters).codec_tag, extradata(parameters)) };
        // SAFETY: valid, and not shared before it is opened.
        let fields = unsafe { decoder.0.as_mut() };
        fields.idct_algo = transform.unwrap_or(fields.idct_algo);
        fields.pkt_timebase = time_base;
        fields.max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
        let threads = if Codec::of(&name, &[]).has_steady_threads() { threads } else { 1 };
        fields.thread_count = c_int::try_from(threads).unwrap_or(1).max(1);
        if threads > 1 {
            fields.err_recognition |= ffi::AV_EF_EXPLODE;
        }
        // SAFETY: the context was allocated for this codec.
        check(unsafe { ffi::avcodec_open2(decoder.0.as_ptr(), codec, ptr::null_mut()) })?;
        Ok(decoder)
    }

    /// The frame rate that the codec's own headers state, where FFmpeg passes it on (since 6.1); zeros elsewhere.
    ///
    /// # Safety
    /// The parameters are valid.
    pub(crate) unsafe fn stated_rate(parameters: *const ffi::AVCodecParameters) -> (c_int, c_int) {
        // The parameters have a field for it that older headers lack, unlike the context.
        // SAFETY: allocates, for no codec in particular; NULL is handled.
        let Some(context) = NonNull::new(unsafe { ffi::avcodec_alloc_context3(ptr::null()) }) else {
            return (0, 0);
        };
        let decoder = Decoder(context);
        // SAFETY: both are valid; the parameters are copied.
        match check(unsafe { ffi::avcodec_parameters_to_context(decoder.0.as_ptr(), parameters) }) {
            // SAFETY: a valid context.
            Ok(_) => unsafe { ((*decoder.0.as_ptr()).framerate.num, (*decoder.0.as_ptr()).framerate.den) },
            Err(_) => (0, 0),
        }
    }

    /// FFmpeg's name of the decoder, for example `libdav1d`.
    pub(crate) fn name(&self) -> String {
        // SAFETY: an open context has a codec, with a static name.
        unsafe { text((*(*self.0.as_ptr()).codec).name) }
    }

    /// How many threads it has.
    #[cfg(test)]
    pub(crate) fn thread_count(&self) -> c_int {
        // SAFETY: an open context.
        unsafe { (*self.0.as_ptr()).thread_count }
    }

    /// Gives the decoder a packet, or `None` to have it hand out what it holds back.
    ///
    /// The decoder must have been emptied with [`Decoder::receive`] before. A packet of no bytes is passed over, which
    /// FFmpeg would take for the end.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) -> Result<(), Fault> {
        if packet.is_some_and(|packet| packet.data().is_empty()) {
            return Ok(());
        }
        let packet = packet.map_or(ptr::null(), Packet::as_ptr);
        // SAFETY: an open context, and a valid packet or NULL.
        check(unsafe { ffi::avcodec_send_packet(self.0.as_ptr(), packet) }).map(drop)
    }

    /// Takes the next picture, if there is one.
    pub(crate) fn receive(&mut self, picture: &mut Picture) -> Result<Received, Fault> {
        // SAFETY: an open context and a valid frame, which FFmpeg empties first.
        match check(unsafe { ffi::avcodec_receive_frame(self.0.as_ptr(), picture.as_mut_ptr()) }) {
            Ok(_) => Ok(Received::Picture),
            Err(AGAIN) => Ok(Received::Hungry),
            Err(END) => Ok(Received::End),
            Err(fault) => Err(fault),
        }
    }

    /// Forgets everything, for use after a seek.
    pub(crate) fn flush(&mut self) {
        // SAFETY: an open context.
        unsafe { ffi::avcodec_flush_buffers(self.0.as_ptr()) };
    }

    /// Whether pictures that no other picture refers to are left out, from the next packet on.
    pub(crate) fn skip_unreferenced(&mut self, skip: bool) {
        let discard = if skip { ffi::AVDiscard::AVDISCARD_NONREF } else { ffi::AVDiscard::AVDISCARD_DEFAULT };
        // SAFETY: an open context; the field is meant to be changed between packets.
        unsafe { (*self.0.as_ptr()).skip_frame = discard };
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: ours, and not used afterwards.
        unsafe { ffi::avcodec_free_context(&mut context) };
    }
}
