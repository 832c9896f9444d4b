//! A local file opened with FFmpeg: the demuxer, the chosen stream, and its packets.

use std::ffi::{CStr, c_int};
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;

use super::decoder::Decoder;
use super::ffi::{self as wrap, AGAIN, Packet, check, extradata, number, text, time};
use super::orientation::Orientation;
use super::scout;
use super::time::TimeBase;
use crate::video::codec::Codec;
use crate::video::error::{Error, Fault};

/// Demuxers that may be used. What is not here cannot be opened: playlists and scripts that name other files (hls,
/// dash, concat, imf, sdp, rtsp, image2, vobsub, ...), text that FFmpeg would draw as a picture (tty, bin, ...), and
/// devices. Audio formats are here so that "has no video stream" can be said of them.
const DEMUXERS: &CStr =
    c"mov,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,flv,live_flv,kux,asf,asf_o,ogg,nut,mxf,gxf,wtv,\
dv,ivf,obu,av1,h264,hevc,vvc,evc,m4v,h263,h261,vc1,vc1test,dirac,cavsvideo,avs2,avs3,ipu,mjpeg,mjpeg_2000,mpjpeg,\
smjpeg,dnxhd,ingenient,yuv4mpegpipe,gif,apng,rm,ivr,rl2,roq,nuv,nsv,vivo,swf,smk,bink,bfi,bethsoftvid,c93,cdxl,\
cine,dsicin,dxa,ea,film_cpk,filmstrip,flic,4xm,anm,argo_brp,avr,avs,bmv,cdg,dfa,dhav,hnm,idcin,iff,ifv,ipmovie,iv8,\
jv,lmlm4,lvf,lxf,mgsts,mlv,mm,moflex,msnwctcp,mtv,mv,mvi,mxg,nc,paf,pmp,pp_bnk,psxstr,pva,r3d,rpl,scd,sdr2,ser,sga,\
siff,simbiosis_imx,sol,thp,tiertexseq,tmv,ty,txd,vid,vividas,vmd,vpk,wc3movie,wsvqa,wtv,wv,xa,xmv,yop,viv,argo_asf,\
aac,ac3,aiff,amr,ape,au,caf,dts,eac3,flac,mp3,opus,oma,tta,voc,w64,wav,xwma,\
bmp_pipe,dds_pipe,dpx_pipe,exr_pipe,gif_pipe,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_pipe,jpegxl_anim,pam_pipe,pbm_pipe,\
pcx_pipe,pgm_pipe,png_pipe,ppm_pipe,psd_pipe,qoi_pipe,sgi_pipe,sunrast_pipe,tiff_pipe,webp_pipe,xbm_pipe,xpm_pipe,\
xwd_pipe";

/// How often a demuxer may ask for another try in a row.
const MAX_RETRIES: usize = 1000;

/// An open container with one stream of it chosen; the packets of the others are not read.
pub(crate) struct Source {
    // Before `stop`, which FFmpeg looks at while it closes.
    input: Input,
    stream: usize,
    /// Size in pixels (width, height) that the header states for the chosen stream; zeros where it does not.
    header_size: (u32, u32),
    /// The stop flag FFmpeg's interrupt callback points to; kept alive for it.
    stop: Arc<AtomicBool>,
}

impl Source {
    /// Opens `path` and chooses the stream `av_find_best_stream` does, cover art apart.
    pub(crate) fn open(path: &Path, max_pixels: u64, stop: &Arc<AtomicBool>) -> Result<Source, Error> {
        let not_video = |fault: Fault| {
            if super::ffi::was_stopped(stop) {
                return Error::Interrupted { path: path.to_owned() };
            }
            Error::NotVideo {
                path: path.to_owned(),
                // EINVAL is what FFmpeg answers for a format that is not on the list.
                reason: if fault == Fault(ffi::AVERROR(ffi::EINVAL)) {
                    "this format is not supported".to_owned()
                } else {
                    fault.to_string()
                },
            }
        };
        let open = |decoders| wrap::open_input(path, DEMUXERS, decoders, stop).map_err(not_video);
        let mut input = open(c"")?;
        if scout::may_bring_streams(&input) {
            let fits = scout::late_streams_fit(input, max_pixels).map_err(not_video)?;
            // Nothing is decoded to learn about the streams if one of them might be too large.
            input = open(if fits { c"" } else { c"none" })?;
        }
        let mut source = Source { input, stream: 0, header_size: (0, 0), stop: Arc::clone(stop) };
        // Too large a size is lost when the decoder refuses it.
        let header_sizes: Vec<(u32, u32)> = (0..source.stream_count()).map(|index| source.size_of(index)).collect();
        wrap::find_streams(&mut source.input, max_pixels).map_err(not_video)?;
        source.stream = source.choose_stream(path)?;
        source.header_size = header_sizes.get(source.stream).copied().unwrap_or_default();
        for index in 0..source.stream_count() {
            if index != source.stream {
                // SAFETY: the index is below the number of streams.
                unsafe { (*source.raw_stream(index)).discard = ffi::AVDiscard::AVDISCARD_ALL };
            }
        }
        Ok(source)
    }

    fn choose_stream(&self, path: &Path) -> Result<usize, Error> {
        let no_video = |cover_art| Error::NoVideoStream { path: path.to_owned(), cover_art };
        let video: Vec<usize> = (0..self.stream_count()).filter(|&index| self.is_video(index)).collect();
        let moving: Vec<usize> = video.iter().copied().filter(|&index| !self.is_cover_art(index)).collect();
        let Some(&first) = moving.first() else {
            return Err(no_video(!video.is_empty()));
        };
        let mut decoder = ptr::null();
        let kind = ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
        // SAFETY: an open context; no stream is preferred, and the decoder pointer is writable.
        let best = unsafe { ffi::av_find_best_stream(self.input.as_ptr().cast_mut(), kind, -1, -1, &mut decoder, 0) };
        match usize::try_from(best) {
            Ok(best) if moving.contains(&best) => Ok(best),
            // Cover art won; take the first stream that moves and can be decoded.
            Ok(_) => Ok(moving.iter().copied().find(|&index| self.has_decoder(index)).unwrap_or(first)),
            Err(_) if best == ffi::AVERROR_DECODER_NOT_FOUND => {
                Err(Error::DecoderMissing { path: path.to_owned(), codec: self.codec_name_of(first) })
            }
            Err(_) => Err(no_video(false)),
        }
    }

    fn stream_count(&self) -> usize {
        // SAFETY: an open context.
        unsafe { (*self.input.as_ptr()).nb_streams as usize }
    }

    /// A stream by a number below `stream_count`.
    fn raw_stream(&self, index: usize) -> *mut ffi::AVStream {
        debug_assert!(index < self.stream_count());
        // SAFETY: an open context, whose list of streams has more than `index` entries and never shrinks.
        unsafe { *(*self.input.as_ptr()).streams.add(index) }
    }

    /// The chosen stream.
    pub(crate) fn stream(&self) -> &ffi::AVStream {
        // SAFETY: streams live as long as the context, at the same place.
        unsafe { &*self.raw_stream(self.stream) }
    }

    /// The chosen stream's number within its container: a track of MP4, a PID of MPEG-TS.
    pub(crate) fn stream_id(&self) -> i32 {
        self.stream().id
    }

    /// Duration of the chosen stream in its own units, as stated or reckoned by FFmpeg.
    pub(crate) fn stream_duration(&self) -> i64 {
        self.stream().duration
    }

    /// The chosen stream's place among all streams, from 0.
    pub(crate) fn stream_index(&self) -> usize {
        self.stream
    }

    /// A decoder for the chosen stream: see [`Decoder::open`].
    pub(crate) fn decoder(&self, threads: usize, max_pixels: u64) -> Result<Decoder, Fault> {
        // SAFETY: the parameters live as long as the source.
        unsafe { Decoder::open(self.parameters(), self.stream().time_base, threads, max_pixels) }
    }

    /// The codec parameters of the chosen stream, valid for as long as it lives. No reference is made to the whole of
    /// them: some fields may not be what their types allow.
    fn parameters(&self) -> *const ffi::AVCodecParameters {
        self.stream().codecpar
    }

    /// How many frames the decoder holds back to put them in order.
    pub(crate) fn reorder_frames(&self) -> usize {
        // SAFETY: every stream has parameters, for as long as it lives.
        usize::try_from(unsafe { (*self.parameters()).video_delay }).unwrap_or(0)
    }

    /// Sample aspect ratio (width, height) as stated; zeros where unknown.
    pub(crate) fn sample_aspect(&self) -> (c_int, c_int) {
        // SAFETY: as in `reorder_frames`.
        let aspect = unsafe { (*self.parameters()).sample_aspect_ratio };
        (aspect.num, aspect.den)
    }

    /// FFmpeg's numbers of the pixel format, the colour matrix and the colour range, as the file has them.
    pub(crate) fn colour(&self) -> [c_int; 3] {
        let parameters = self.parameters();
        // SAFETY: as in `reorder_frames`; the pointers are to fields of them.
        unsafe {
            let space = number(&raw const (*parameters).color_space);
            let range = number(&raw const (*parameters).color_range);
            [(*parameters).format, space, range]
        }
    }

    /// Size of the chosen stream's coded frames, as decoders report it.
    pub(crate) fn coded_size(&self) -> (c_int, c_int) {
        // SAFETY: as in `reorder_frames`.
        unsafe { ((*self.parameters()).width, (*self.parameters()).height) }
    }

    /// Stored size in pixels (width, height) of the chosen stream's frames; zeros where unknown.
    pub(crate) fn size(&self) -> (u32, u32) {
        match self.size_of(self.stream) {
            (0, _) | (_, 0) => self.header_size,
            size => size,
        }
    }

    fn size_of(&self, index: usize) -> (u32, u32) {
        // SAFETY: every stream has parameters, for as long as it lives.
        let (width, height) = unsafe {
            let parameters = (*self.raw_stream(index)).codecpar;
            ((*parameters).width, (*parameters).height)
        };
        (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
    }

    /// The codec's private data.
    fn extradata(&self) -> &[u8] {
        // SAFETY: as in `reorder_frames`.
        unsafe { extradata(self.parameters()) }
    }

    /// True where frames are, or may be, made of two fields.
    pub(crate) fn is_interlaced(&self) -> bool {
        use ffi::AVFieldOrder::{AV_FIELD_PROGRESSIVE, AV_FIELD_UNKNOWN};
        // SAFETY: as in `colour`.
        let order = unsafe { number(&raw const (*self.parameters()).field_order) };
        ![AV_FIELD_PROGRESSIVE as c_int, AV_FIELD_UNKNOWN as c_int].contains(&order)
    }

    fn is_video(&self, index: usize) -> bool {
        // SAFETY: as in `stream` and `parameters`.
        unsafe { (*(*self.raw_stream(index)).codecpar).codec_type == ffi::AVMediaType::AVMEDIA_TYPE_VIDEO }
    }

    fn is_cover_art(&self, index: usize) -> bool {
        // SAFETY: as in `stream`.
        unsafe { (*self.raw_stream(index)).disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0 }
    }

    fn has_decoder(&self, index: usize) -> bool {
        // SAFETY: looks a number up.
        !unsafe { ffi::avcodec_find_decoder((*(*self.raw_stream(index)).codecpar).codec_id) }.is_null()
    }

    fn codec_name_of(&self, index: usize) -> String {
        // SAFETY: returns a static string for every number.
        unsafe { text(ffi::avcodec_get_name((*(*self.raw_stream(index)).codecpar).codec_id)) }
    }

    /// FFmpeg's name of the chosen stream's codec, for example `h264`.
    pub(crate) fn codec_name(&self) -> String {
        self.codec_name_of(self.stream)
    }

    /// The chosen stream's codec.
    pub(crate) fn codec(&self) -> Codec {
        Codec::of(&self.codec_name(), self.extradata())
    }

    /// FFmpeg's names of the container, for example `matroska,webm`.
    pub(crate) fn container(&self) -> String {
        // SAFETY: an open context always has a format, with a static name.
        unsafe { text((*(*self.input.as_ptr()).iformat).name) }
    }

    /// The unit of the chosen stream's time stamps.
    pub(crate) fn time_base(&self) -> TimeBase {
        TimeBase::new(self.stream().time_base)
    }

    pub(crate) fn orientation(&self) -> Orientation {
        wrap::display_matrix(&self.input, self.stream)
            .map_or(Orientation::NONE, |matrix| Orientation::from_matrix(&matrix))
    }

    /// Average frame rate as numerator and denominator, as stated or reckoned by FFmpeg; zeros where unknown.
    ///
    /// FFmpeg 7.1 and later say 25 of every raw stream that they know no better of, whatever its headers state. To
    /// FFmpeg 5, and so to the reference, these come first. AV1 is left out: all versions say 25 of it.
    pub(crate) fn average_rate(&self) -> (i32, i32) {
        // SAFETY: an open context always has a format; the parameters live as long as the source.
        let (flags, own) =
            unsafe { ((*(*self.input.as_ptr()).iformat).flags, Decoder::stated_rate(self.parameters())) };
        if flags & ffi::AVFMT_NOTIMESTAMPS != 0 && own.0 > 0 && own.1 > 0 && self.codec_name() != "av1" {
            return own;
        }
        let rate = self.stream().avg_frame_rate;
        (rate.num, rate.den)
    }

    /// Base frame rate (`r_frame_rate`), likewise.
    pub(crate) fn base_rate(&self) -> (i32, i32) {
        let rate = self.stream().r_frame_rate;
        (rate.num, rate.den)
    }

    /// Duration of the stream, or else of the file.
    pub(crate) fn duration_secs(&self) -> Option<f64> {
        // SAFETY: an open context.
        let file_us = unsafe { (*self.input.as_ptr()).duration };
        time(self.stream().duration)
            .map(|duration| self.time_base().secs(duration))
            .or_else(|| time(file_us).map(|duration_us| duration_us as f64 / 1e6))
            .filter(|&secs| secs > 0.0)
    }

    /// Reads the next packet of the chosen stream; false at the end of the file.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, Fault> {
        let mut retries = 0;
        loop {
            packet.clear();
            // SAFETY: an open context and an empty packet.
            match check(unsafe { ffi::av_read_frame(self.input.as_mut_ptr(), packet.as_mut_ptr()) }) {
                Ok(_) if packet.stream() == self.stream => return Ok(true),
                Ok(_) => retries = 0,
                Err(wrap::END) => return Ok(false),
                Err(AGAIN) if retries < MAX_RETRIES => retries += 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Seeks to the last keyframe at or before a time stamp, as far as the container knows; check what comes.
    pub(crate) fn seek(&mut self, pts: i64) -> Result<(), Fault> {
        let stream = self.stream as c_int;
        // SAFETY: an open context and the number of one of its streams.
        check(unsafe { ffi::av_seek_frame(self.input.as_mut_ptr(), stream, pts, ffi::AVSEEK_FLAG_BACKWARD) })?;
        Ok(())
    }

    /// True once the caller asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        super::ffi::was_stopped(&self.stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str, max_pixels: u64) -> Source {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clips").join(name);
        Source::open(&path, max_pixels, &Arc::default()).unwrap()
    }

    #[test]
    fn late_streams_are_not_decoded_past_the_limit() {
        for name in ["nasty/flv_h264.flv", "odd/mpeg2_ps.mpg"] {
            // The pixel format is known once the decoder was used.
            let is_known = |max_pixels| open(name, max_pixels).colour()[0] >= 0;
            assert!(is_known(1 << 20), "{name}");
            assert!(!is_known(1000), "{name}");
        }
    }

    #[test]
    fn unsteady_decoders_get_one_thread() {
        let threads = |name: &str| open(name, 1 << 20).decoder(4, 1 << 20).unwrap().thread_count();
        assert_eq!(threads("odd/theora.ogv"), 1);
        assert_eq!(threads("nasty/plain_h264.mp4"), 4);
    }
}
