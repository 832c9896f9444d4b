# syntax=docker/dockerfile:1
# The program with FFmpeg inside, on a bare Debian, for the CPU:
#
#   docker build -t llava-video .
#   docker run --rm -v "$PWD:/data:ro" -v llava-video:/cache llava-video ask clip.mp4 "describe this video"

FROM debian:bookworm-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Whatever Debian has: the compiler's version is no part of what is promised.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential ca-certificates clang curl git libclang-dev meson nasm ninja-build pkg-config xz-utils zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source

# First what changes seldom.
COPY scripts/build-ffmpeg.sh scripts/
RUN scripts/build-ffmpeg.sh 8.1.2 /opt/ffmpeg
COPY Cargo.toml ./
ENV PATH=/root/.cargo/bin:$PATH
RUN curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs \
    | sh -s -- -y --profile minimal --default-toolchain "$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"

COPY . .
ENV PKG_CONFIG_PATH=/opt/ffmpeg/lib/pkgconfig
RUN --mount=type=cache,target=/root/.cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --bins --features static-ffmpeg \
    && cp target/release/llava-video /usr/local/bin/ \
    && llava-video ask tests/fixtures/demo/clip1-h264.mp4 "describe this video" --model demo --no-cache

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home user \
    && install -d -o user /cache /data
COPY --from=build /usr/local/bin/llava-video /usr/local/bin/
COPY LICENSE /usr/share/doc/llava-video/
# Models and visual tokens: a volume keeps them from run to run.
ENV HF_HOME=/cache/huggingface XDG_CACHE_HOME=/cache
USER 1000
WORKDIR /data
ENTRYPOINT ["llava-video"]
CMD ["--help"]
