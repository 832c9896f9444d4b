//! Copies the video stream of a clip into another file, packet by packet, with changes.

use std::path::Path;

use ffmpeg_next as ffmpeg;

/// Copies the best video stream of `from` to `to`, whose name tells the container. `change` is given each packet's
/// number and data, and makes the data that are written.
pub(crate) fn remux(from: &Path, to: &Path, mut change: impl FnMut(usize, Vec<u8>) -> Vec<u8>) {
    ffmpeg::init().unwrap();
    let mut input = ffmpeg::format::input(from).unwrap();
    let mut output = ffmpeg::format::output(to).unwrap();
    let stream = input.streams().best(ffmpeg::media::Type::Video).unwrap();
    let (index, time_base) = (stream.index(), stream.time_base());
    let mut written = output.add_stream(ffmpeg::encoder::find(ffmpeg::codec::Id::None)).unwrap();
    written.set_parameters(stream.parameters());
    written.set_time_base(time_base);
    // SAFETY: the new stream's own parameters. The tag of one container means nothing in another.
    unsafe { (*written.parameters().as_mut_ptr()).codec_tag = 0 };
    output.write_header().unwrap();
    let written_base = output.stream(0).unwrap().time_base();
    let packets = input.packets().filter(|(stream, _)| stream.index() == index);
    for (number, (_, packet)) in packets.enumerate() {
        let data = change(number, packet.data().unwrap_or_default().to_vec());
        let mut changed = ffmpeg::Packet::copy(&data);
        changed.set_pts(packet.pts());
        changed.set_dts(packet.dts());
        changed.set_duration(packet.duration());
        changed.set_flags(packet.flags());
        changed.set_stream(0);
        changed.rescale_ts(time_base, written_base);
        changed.write_interleaved(&mut output).unwrap();
    }
    output.write_trailer().unwrap();
}
