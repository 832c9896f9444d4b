#!/usr/bin/env python3
"""Times uniform frame sampling against decord and PyAV, side by side, on clips it generates.

usage: compare-decoders.py WORKDIR [--runs N] [--only SUBSTRING]

Needs the ffmpeg command line (clips), cargo (our side) and, in the Python that runs it: decord==0.6.0 av==15.1.0 numpy<2.
Each measurement is a process of its own that times opening and reading native-size RGB24 after all imports, so that no
side pays for its start; runs alternate between the sides and the least processor and wall times are printed.
"""
import argparse, json, os, pathlib, subprocess, sys

CLIPS = [  # name, size, frames a second, seconds generated, times repeated by stream copy
    ("1080p_10s", "1920x1080", 30, 10, 1),
    ("720p_3min", "1280x720", 30, 180, 1),
    ("360p_60min", "640x360", 25, 360, 10),
]
KEYFRAMES = (48, 250)
COUNTS = (8, 32, 110)

DECORD = """
import sys, time, json, numpy as np, decord
t, c = time.perf_counter(), time.process_time()
reader = decord.VideoReader(sys.argv[1], ctx=decord.cpu(0), num_threads=1)
frames = reader.get_batch(np.linspace(0, len(reader) - 1, int(sys.argv[2]), dtype=int)).asnumpy()
print(json.dumps({"cpu_secs": time.process_time() - c, "wall_secs": time.perf_counter() - t, "rgb_bytes": frames.nbytes}))
"""

# The fastest simple way with PyAV: seek to each wanted frame's group if it lies ahead, decode on, stop at the frame.
PYAV = """
import sys, time, json, numpy as np, av
t, c = time.perf_counter(), time.process_time()
container = av.open(sys.argv[1])
stream = container.streams.video[0]
stream.codec_context.thread_count = 1
count, base = stream.frames, stream.time_base
step = 1 / (stream.average_rate * base)
total, position, decoder = 0, None, None
for index in np.linspace(0, count - 1, int(sys.argv[2]), dtype=int):
    wanted = stream.start_time + int(index * step)
    if position is None or wanted - position > 12 * step:
        container.seek(wanted, stream=stream, backward=True)
        decoder = container.decode(stream)
    for frame in decoder:
        position = frame.pts
        if frame.pts >= wanted - step / 2:
            total += frame.to_ndarray(format="rgb24").nbytes
            break
print(json.dumps({"cpu_secs": time.process_time() - c, "wall_secs": time.perf_counter() - t, "rgb_bytes": total}))
"""


def generate(path, size, fps, secs, repeats, keyframes):
    once = path.with_name(path.stem + "_once.mp4") if repeats > 1 else path
    source = f"testsrc2=s={size}:r={fps}:d={secs},noise=alls=6:allf=t"
    x264 = ["-preset", "veryfast", "-crf", "26", "-g", str(keyframes), "-keyint_min", str(keyframes), "-sc_threshold", "0"]
    run = lambda *args: subprocess.run(["ffmpeg", "-v", "error", "-y", *args], check=True)
    run("-f", "lavfi", "-i", source, "-c:v", "libx264", *x264, "-pix_fmt", "yuv420p", str(once))
    if repeats > 1:
        run("-stream_loop", str(repeats - 1), "-i", str(once), "-c", "copy", str(path))
        once.unlink()


def measure(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    build = ["cargo", "build", "--release", "--locked", "--quiet", "--bin", "llava-video", "--example", "decode-frames"]
    subprocess.run(build, cwd=root, check=True)
    ours, binary = root / "target/release/examples/decode-frames", root / "target/release/llava-video"
    args.workdir.mkdir(parents=True, exist_ok=True)
    print(f"load before: {os.getloadavg()[0]:.1f}; least of {args.runs} runs; cpu seconds / wall seconds")
    print("| clip | frames | ours | ours in a child | decord | PyAV | decord : ours, cpu | wall | best other : ours, cpu | wall |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, size, fps, secs, repeats in CLIPS:
        for keyframes in KEYFRAMES:
            path = args.workdir / f"{name}_k{keyframes}.mp4"
            if args.only not in path.name:
                continue
            if not path.exists():
                generate(path, size, fps, secs, repeats, keyframes)
            for count in COUNTS:
                sides = {
                    "ours": [str(ours), str(path), str(count)],
                    "child": [str(ours), str(path), str(count), "--child", str(binary)],
                    "decord": [sys.executable, "-c", DECORD, str(path), str(count)],
                    "pyav": [sys.executable, "-c", PYAV, str(path), str(count)],
                }
                best = {side: [float("inf"), float("inf")] for side in sides}
                sizes = set()
                for _ in range(args.runs):
                    for side, command in sides.items():
                        run = measure(command)
                        sizes.add(run["rgb_bytes"])
                        best[side] = [min(best[side][0], run["cpu_secs"]), min(best[side][1], run["wall_secs"])]
                assert len(sizes) == 1, f"the sides read different numbers of frames: {sizes}"
                cell = lambda side: f"{best[side][0]:.2f} / {best[side][1]:.2f}"
                ratio = lambda i: best["decord"][i] / best["ours"][i]
                other = lambda i: min(best["decord"][i], best["pyav"][i]) / best["ours"][i]
                print(f"| {path.stem} | {count} | {cell('ours')} | {cell('child')} | {cell('decord')} | {cell('pyav')} "
                      f"| {ratio(0):.1f} | {ratio(1):.1f} | {other(0):.1f} | {other(1):.1f} |", flush=True)


main()
