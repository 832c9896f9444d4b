//! Owners of FFmpeg's objects, and every call whose form depends on FFmpeg's version.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ffmpeg_next::codec::packet::side_data::Type as SideDataType;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::frame;

use crate::video::error::Fault;

/// AVERROR(ENOMEM).
pub(crate) const OUT_OF_MEMORY: Fault = Fault(-12);
/// AVERROR_EOF.
pub(crate) const END: Fault = Fault(ffi::AVERROR_EOF);
/// AVERROR(EAGAIN): the decoder wants more input, or the demuxer another try.
pub(crate) const AGAIN: Fault = Fault(ffi::AVERROR(ffi::EAGAIN));
/// `AV_NOPTS_VALUE`, which the bindings do not carry.
const NO_TIME: i64 = i64::MIN;

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 128];
        // SAFETY: the buffer is writable for the length given, and av_strerror ends it with a NUL.
        unsafe { ffi::av_strerror(self.0, buffer.as_mut_ptr(), buffer.len()) };
        // SAFETY: as above; the buffer was zeroed, so it ends in a NUL in any case.
        let text = unsafe { CStr::from_ptr(buffer.as_ptr()) };
        let text = text.to_string_lossy();
        // FFmpeg capitalises its messages; ours continue a sentence.
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => write!(formatter, "{}{}", first.to_lowercase(), letters.as_str()),
            None => write!(formatter, "error {}", self.0),
        }
    }
}

/// Turns FFmpeg's "negative is an error" into a `Result`.
pub(crate) fn check(code: c_int) -> Result<c_int, Fault> {
    if code < 0 { Err(Fault(code)) } else { Ok(code) }
}

/// A time stamp, unless it is FFmpeg's mark for none.
pub(crate) fn time(stamp: i64) -> Option<i64> {
    (stamp != NO_TIME).then_some(stamp)
}

/// Silences FFmpeg's own log, once; a damaged file makes it write thousands of lines.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    // SAFETY: sets one global integer.
    ONCE.call_once(|| unsafe { ffi::av_log_set_level(ffi::AV_LOG_QUIET) });
}

/// The number in a field that the bindings take for one of an enumeration's. FFmpeg copies some of them from the file,
/// so that it may be none of them, and must not be read as an enumeration.
///
/// # Safety
/// `field` points to an enumeration in a valid object of FFmpeg's.
pub(crate) unsafe fn number<E>(field: *const E) -> c_int {
    const { assert!(size_of::<E>() == size_of::<c_int>() && align_of::<E>() == align_of::<c_int>()) };
    // SAFETY: promised by the caller; a C enumeration is stored as a C int, of which every value is valid.
    unsafe { field.cast::<c_int>().read() }
}

/// The codec's private data, of no bytes where it has none.
///
/// # Safety
/// The parameters are valid, and stay so for as long as the bytes are used.
pub(super) unsafe fn extradata<'p>(parameters: *const ffi::AVCodecParameters) -> &'p [u8] {
    // SAFETY: as the caller vouches.
    let (data, size) = unsafe { ((*parameters).extradata, (*parameters).extradata_size) };
    match usize::try_from(size) {
        // SAFETY: FFmpeg keeps so many bytes there for as long as the parameters are.
        Ok(size) if !data.is_null() => unsafe { std::slice::from_raw_parts(data, size) },
        _ => &[],
    }
}

/// A C string of FFmpeg's as text; empty for NULL.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that is not changed meanwhile.
pub(crate) unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not NULL, the rest is promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// An `AVDictionary` of options.
struct Options(*mut ffi::AVDictionary);

impl Options {
    fn new(pairs: &[(&CStr, &CStr)]) -> Result<Options, Fault> {
        let mut options = Options(ptr::null_mut());
        for (key, value) in pairs {
            // SAFETY: both are C strings, which av_dict_set copies; the dictionary pointer is ours.
            check(unsafe { ffi::av_dict_set(&mut options.0, key.as_ptr(), value.as_ptr(), 0) })?;
        }
        Ok(options)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the dictionary is ours, or NULL, which is allowed.
        unsafe { ffi::av_dict_free(&mut self.0) };
    }
}

/// Called by FFmpeg from within reads; true stops them.
extern "C" fn stop_requested(flag: *mut c_void) -> c_int {
    // SAFETY: the opaque pointer set in `open_input` is that of an `AtomicBool` which outlives the context.
    let flag = unsafe { &*flag.cast_const().cast::<AtomicBool>() };
    c_int::from(flag.load(Ordering::Relaxed))
}

/// The name FFmpeg opens a local file by: the `file:` protocol spelled out, so that neither a colon, a leading dash
/// nor a `%d` in the name means anything.
fn file_url(path: &Path) -> Result<CString, Fault> {
    let mut url = b"file:".to_vec();
    #[cfg(unix)]
    url.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    #[cfg(not(unix))]
    url.extend_from_slice(path.to_string_lossy().as_bytes());
    CString::new(url).map_err(|_| Fault(-2))
}

/// Opens a local file with one of `demuxers` (comma separated) and the `file` protocol alone. To learn about its
/// streams one of `decoders` may be used, any if that is empty.
///
/// `stop` must live as long as the returned input; [`super::source::Source`] sees to that.
pub(crate) fn open_input(
    path: &Path,
    demuxers: &CStr,
    decoders: &CStr,
    stop: &Arc<AtomicBool>,
) -> Result<Input, Fault> {
    quiet();
    let url = file_url(path)?;
    let mut pairs = vec![
        (c"protocol_whitelist", c"file"),
        (c"format_whitelist", demuxers),
        // mov: chapter tracks are read by jumping about the file, and nobody looks at them here.
        (c"ignore_chapters", c"1"),
        // mov: data outside the file stays unread (also the default).
        (c"enable_drefs", c"0"),
    ];
    if !decoders.is_empty() {
        pairs.push((c"codec_whitelist", decoders));
    }
    let mut options = Options::new(&pairs)?;
    // SAFETY: allocates; NULL is handled.
    let mut context = unsafe { ffi::avformat_alloc_context() };
    let Some(mut fields) = NonNull::new(context) else {
        return Err(OUT_OF_MEMORY);
    };
    // SAFETY: freshly allocated and ours alone.
    unsafe {
        fields.as_mut().interrupt_callback =
            ffi::AVIOInterruptCB { callback: Some(stop_requested), opaque: Arc::as_ptr(stop).cast_mut().cast() };
    }
    // SAFETY: the context is ours; on failure FFmpeg frees it. The options are a valid dictionary.
    check(unsafe { ffi::avformat_open_input(&mut context, url.as_ptr(), ptr::null(), &mut options.0) })?;
    // SAFETY: an opened input context, handed over to its owner.
    Ok(unsafe { Input::wrap(context) })
}

/// True once a stop flag is raised.
pub(crate) fn was_stopped(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed)
}

/// Looks into the file for what its header does not say; frames over `max_pixels` are not decoded for it.
pub(crate) fn find_streams(input: &mut Input, max_pixels: u64) -> Result<(), Fault> {
    let limit = CString::new(max_pixels.to_string()).map_err(|_| OUT_OF_MEMORY)?;
    // SAFETY: an open context.
    let count = unsafe { (*input.as_ptr()).nb_streams as usize };
    let mut options = Vec::with_capacity(count);
    for _ in 0..count {
        options.push(Options::new(&[(c"max_pixels", &limit)])?);
    }
    let mut dictionaries: Vec<*mut ffi::AVDictionary> = options.iter().map(|options| options.0).collect();
    // SAFETY: an open context and one dictionary for each of its streams, as the call asks for.
    let result = unsafe { ffi::avformat_find_stream_info(input.as_mut_ptr(), dictionaries.as_mut_ptr()) };
    // FFmpeg takes out of each dictionary what it used, which may leave another (or no) dictionary behind.
    for (options, dictionary) in options.iter_mut().zip(dictionaries) {
        options.0 = dictionary;
    }
    check(result).map(drop)
}

/// The nine numbers of a stream's display matrix, if it has one.
///
/// FFmpeg 5 keeps it with the stream, FFmpeg 7 with the codec parameters; ffmpeg-next's iterator knows.
pub(crate) fn display_matrix(input: &Input, stream: usize) -> Option<[i32; 9]> {
    let stream = input.stream(stream)?;
    let side = stream.side_data().find(|side| side.kind() == SideDataType::DisplayMatrix)?;
    let bytes = side.data();
    let mut matrix = [0; 9];
    for (number, four) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
        *number = i32::from_ne_bytes(four.try_into().ok()?);
    }
    (bytes.len() >= 36).then_some(matrix)
}

/// An `AVPacket`.
pub(crate) struct Packet(NonNull<ffi::AVPacket>);

// SAFETY: a packet is plain data with atomically counted buffers and no tie to a thread.
unsafe impl Send for Packet {}

impl Packet {
    pub(crate) fn new() -> Result<Packet, Fault> {
        // SAFETY: allocates; NULL is handled.
        NonNull::new(unsafe { ffi::av_packet_alloc() }).map(Packet).ok_or(OUT_OF_MEMORY)
    }

    pub(crate) fn as_ptr(&self) -> *const ffi::AVPacket {
        self.0.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut ffi::AVPacket {
        self.0.as_ptr()
    }

    /// Presentation time in stream units.
    pub(crate) fn pts(&self) -> Option<i64> {
        // SAFETY: a valid packet.
        time(unsafe { self.0.as_ref() }.pts)
    }

    /// Duration in stream units, 0 where unknown.
    pub(crate) fn duration(&self) -> i64 {
        // SAFETY: a valid packet.
        unsafe { self.0.as_ref() }.duration.max(0)
    }

    pub(crate) fn stream(&self) -> usize {
        // SAFETY: a valid packet.
        usize::try_from(unsafe { self.0.as_ref() }.stream_index).unwrap_or(usize::MAX)
    }

    fn has(&self, flag: c_int) -> bool {
        // SAFETY: a valid packet.
        unsafe { self.0.as_ref() }.flags & flag != 0
    }

    pub(crate) fn is_key(&self) -> bool {
        self.has(ffi::AV_PKT_FLAG_KEY)
    }

    pub(crate) fn is_discard(&self) -> bool {
        self.has(ffi::AV_PKT_FLAG_DISCARD)
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        self.has(ffi::AV_PKT_FLAG_CORRUPT)
    }

    /// True where the packet changes the codec's parameters for those after it.
    pub(crate) fn changes_parameters(&self) -> bool {
        use ffi::AVPacketSideDataType::{AV_PKT_DATA_NEW_EXTRADATA, AV_PKT_DATA_PARAM_CHANGE};
        [AV_PKT_DATA_NEW_EXTRADATA, AV_PKT_DATA_PARAM_CHANGE].into_iter().any(|kind| {
            // SAFETY: a valid packet; the size is not asked for.
            !unsafe { ffi::av_packet_get_side_data(self.as_ptr(), kind, ptr::null_mut()) }.is_null()
        })
    }

    pub(crate) fn data(&self) -> &[u8] {
        // SAFETY: a valid packet.
        let packet = unsafe { self.0.as_ref() };
        match usize::try_from(packet.size) {
            // SAFETY: FFmpeg keeps `size` readable bytes at `data` for as long as the packet is not changed.
            Ok(size) if !packet.data.is_null() => unsafe { std::slice::from_raw_parts(packet.data, size) },
            _ => &[],
        }
    }

    pub(crate) fn clear(&mut self) {
        // SAFETY: a valid packet.
        unsafe { ffi::av_packet_unref(self.0.as_ptr()) };
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut packet = self.0.as_ptr();
        // SAFETY: ours, and not used afterwards.
        unsafe { ffi::av_packet_free(&mut packet) };
    }
}

/// An `AVFrame` of pictures.
pub(crate) struct Picture(NonNull<ffi::AVFrame>);

// SAFETY: a frame is plain data with atomically counted buffers and no tie to a thread.
unsafe impl Send for Picture {}

impl Picture {
    pub(crate) fn new() -> Result<Picture, Fault> {
        // SAFETY: allocates; NULL is handled.
        NonNull::new(unsafe { ffi::av_frame_alloc() }).map(Picture).ok_or(OUT_OF_MEMORY)
    }

    /// A picture with memory of its own, lines padded as FFmpeg likes them.
    pub(crate) fn allocate(format: c_int, width: c_int, height: c_int) -> Result<Picture, Fault> {
        let mut picture = Picture::new()?;
        let frame = picture.as_mut_ptr();
        // SAFETY: a valid frame of ours.
        unsafe { ((*frame).format, (*frame).width, (*frame).height) = (format, width, height) };
        // SAFETY: format and size are set, as the call asks for.
        check(unsafe { ffi::av_frame_get_buffer(picture.as_mut_ptr(), 0) })?;
        Ok(picture)
    }

    // No reference to the whole frame is made anywhere: some of its fields may not be what their types allow.

    pub(crate) fn width(&self) -> c_int {
        // SAFETY: a valid frame for as long as `self` lives.
        unsafe { (*self.0.as_ptr()).width }
    }

    pub(crate) fn height(&self) -> c_int {
        // SAFETY: as in `width`.
        unsafe { (*self.0.as_ptr()).height }
    }

    /// FFmpeg's number of the pixel format.
    pub(crate) fn format(&self) -> c_int {
        // SAFETY: as in `width`.
        unsafe { (*self.0.as_ptr()).format }
    }

    /// FFmpeg's number of the colour matrix, as the file has it.
    pub(crate) fn color_space(&self) -> c_int {
        // SAFETY: as in `width`; the pointer is to a field of it.
        unsafe { number(&raw const (*self.0.as_ptr()).colorspace) }
    }

    /// FFmpeg's number of the colour range.
    pub(crate) fn color_range(&self) -> c_int {
        // SAFETY: as in `color_space`.
        unsafe { number(&raw const (*self.0.as_ptr()).color_range) }
    }

    /// Sets FFmpeg's numbers of the colour matrix and range.
    pub(crate) fn set_colour(&mut self, space: c_int, range: c_int) {
        let frame = self.0.as_ptr();
        // SAFETY: a valid frame of ours, and fields of the size of a C int, which takes any number.
        unsafe {
            (&raw mut (*frame).colorspace).cast::<c_int>().write(space);
            (&raw mut (*frame).color_range).cast::<c_int>().write(range);
        }
    }

    /// Where each plane begins.
    pub(crate) fn planes(&self) -> [*mut u8; 8] {
        // SAFETY: as in `width`.
        unsafe { (*self.0.as_ptr()).data }
    }

    /// Bytes from one line to the next, a plane.
    pub(crate) fn line_bytes(&self) -> [c_int; 8] {
        // SAFETY: as in `width`.
        unsafe { (*self.0.as_ptr()).linesize }
    }

    /// Presentation time in stream units, of the packet it came from.
    pub(crate) fn pts(&self) -> Option<i64> {
        // SAFETY: as in `width`.
        time(unsafe { (*self.0.as_ptr()).pts })
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut ffi::AVFrame {
        self.0.as_ptr()
    }

    /// FFmpeg's best idea of the presentation time, in stream units.
    pub(crate) fn best_time(&self) -> Option<i64> {
        // SAFETY: as in `width`.
        time(unsafe { (*self.0.as_ptr()).best_effort_timestamp })
    }

    /// True where the decoder had to invent part of the picture.
    pub(crate) fn is_damaged(&self) -> bool {
        // SAFETY: as in `width`.
        let (errors, flags) = unsafe { ((*self.0.as_ptr()).decode_error_flags, (*self.0.as_ptr()).flags) };
        errors != 0 || flags & ffi::AV_FRAME_FLAG_CORRUPT != 0
    }

    /// True for pictures woven from two fields.
    pub(crate) fn is_interlaced(&self) -> bool {
        // The view must never be dropped: ffmpeg-next 9.0.0 frees wrapped frames, too.
        // SAFETY: a valid frame; the view lives shorter than `self`.
        let view = ManuallyDrop::new(unsafe { frame::Video::wrap(self.0.as_ptr()) });
        view.is_interlaced()
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let mut frame = self.0.as_ptr();
        // SAFETY: ours, and not used afterwards.
        unsafe { ffi::av_frame_free(&mut frame) };
    }
}
