"""Clips as the reference reads them: encoding, decoding to RGB24, frame sampling, Pillow resize, time instruction."""

import io

import av
import numpy as np
from PIL import Image

av.logging.set_level(av.logging.PANIC)
CODECS = {"h264": ("libx264", "mp4"), "vp9": ("libvpx-vp9", "webm"), "mpeg4": ("mpeg4", "mp4")}


def encode(frames, fps, codec, rng, path=None, quality=None):
    """Encode u8 RGB frames; returns the file's bytes, or writes them to path. Quality is random unless given (0 good
    .. 1 bad)."""
    name, container = CODECS[codec]
    q = rng.random() if quality is None else quality
    options = {
        "h264": {
            "crf": str(int(16 + 18 * q)),
            "preset": "veryfast" if rng.random() < 0.5 else "ultrafast",
            "threads": "1",
        },
        "vp9": {"crf": str(int(20 + 25 * q)), "b": "0", "deadline": "realtime", "cpu-used": "8", "threads": "1"},
        "mpeg4": {"qmin": str(int(2 + 9 * q)), "qmax": str(int(2 + 9 * q)), "threads": "1"},
    }[codec]
    sink = io.BytesIO() if path is None else str(path)
    with av.open(sink, "w", format=container) as out:
        stream = out.add_stream(name, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    return sink.getvalue() if path is None else None


def decode(source):
    """(frames u8 [T,H,W,3], average rate) of bytes or a path."""
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as clip:
        stream = clip.streams.video[0]
        stream.codec_context.thread_count = 1
        rate = float(stream.average_rate)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(stream)]), rate


def resize(frames, size):
    """The processor's resize: straight to size x size, bicubic, on u8."""
    return np.stack([np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC)) for f in frames])


def sample(total, count):
    """The reference's forced frame indices."""
    return np.linspace(0, total - 1, count, dtype=int)


def stamps(rate, indices):
    """The times of frames, as the time instruction writes them."""
    return tuple(f"{i / rate:.2f}s" for i in indices)


def time_instruction(total, rate, indices):
    return (
        f"The video lasts for {total / rate:.2f} seconds, and {len(indices)} frames are uniformly sampled from it. "
        f"These frames are located at {','.join(stamps(rate, indices))}.Please answer the following questions "
        "related to this video."
    )
