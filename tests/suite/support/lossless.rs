//! Writes RGB frames to a clip that gives the very bytes back: FFV1 in 32-bit RGB, in Matroska.

use std::path::Path;

use ffmpeg_next as ffmpeg;

/// Writes packed RGB frames at `fps` frames per second.
pub(crate) fn write(path: &Path, frames: &[Vec<u8>], width: usize, height: usize, fps: i32) {
    ffmpeg::init().unwrap();
    let codec = ffmpeg::encoder::find(ffmpeg::codec::Id::FFV1).unwrap();
    let mut output = ffmpeg::format::output(path).unwrap();
    let time_base = ffmpeg::Rational::new(1, fps);
    let mut encoder = ffmpeg::codec::Context::new_with_codec(codec).encoder().video().unwrap();
    encoder.set_width(width as u32);
    encoder.set_height(height as u32);
    encoder.set_format(ffmpeg::format::Pixel::BGRZ);
    encoder.set_time_base(time_base);
    encoder.set_frame_rate(Some((fps, 1)));
    let mut encoder = encoder.open_as(codec).unwrap();
    let mut stream = output.add_stream(codec).unwrap();
    stream.set_parameters(&encoder);
    stream.set_time_base(time_base);
    stream.set_avg_frame_rate((fps, 1));
    output.write_header().unwrap();
    let stream_time_base = output.stream(0).unwrap().time_base();

    let mut drain = |encoder: &mut ffmpeg::encoder::Video| {
        let mut packet = ffmpeg::Packet::empty();
        while encoder.receive_packet(&mut packet).is_ok() {
            packet.set_stream(0);
            packet.set_duration(1);
            packet.rescale_ts(time_base, stream_time_base);
            packet.write_interleaved(&mut output).unwrap();
        }
    };
    for (index, rgb) in frames.iter().enumerate() {
        let mut picture = ffmpeg::frame::Video::new(ffmpeg::format::Pixel::BGRZ, width as u32, height as u32);
        let stride = picture.stride(0);
        let data = picture.data_mut(0);
        for (y, row) in rgb.chunks_exact(width * 3).enumerate() {
            for (pixel, rgb) in data[y * stride..].chunks_exact_mut(4).zip(row.chunks_exact(3)) {
                pixel.copy_from_slice(&[rgb[2], rgb[1], rgb[0], 0]);
            }
        }
        picture.set_pts(Some(index as i64));
        encoder.send_frame(&picture).unwrap();
        drain(&mut encoder);
    }
    encoder.send_eof().unwrap();
    drain(&mut encoder);
    output.write_trailer().unwrap();
}
