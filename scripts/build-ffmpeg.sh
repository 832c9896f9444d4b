#!/bin/sh
# Builds an FFmpeg of static libraries with what this program reads and nothing else: no encoders, filters, devices,
# network or programs, and none of the parts under the GPL. For the feature `static-ffmpeg`, and to test other versions
# than the system's.
# usage: scripts/build-ffmpeg.sh [--for-tests] [--no-assembler] VERSION PREFIX
#
# Takes about two minutes on 2 cores; needs cc, nasm, meson and ninja. Then:
#   PKG_CONFIG_PATH=PREFIX/lib/pkgconfig cargo build --release --locked --features static-ffmpeg
#
# `--for-tests` adds what the test suite makes clips with: one encoder and three muxers. `--no-assembler` leaves out
# what is written for one kind of processor: frames are the same, and take longer.
#
# Sources are looked for in the folder that the variable SOURCES names, else downloaded, and checked either way. Debian's
# `.orig.tar.xz` of the same version is the same file.
set -eu

dav1d_version=1.5.4
writers=
assembler=
while :; do
	case ${1:-} in
	--for-tests) writers="--enable-encoder=ffv1 --enable-muxer=mp4,matroska,mpegts" ;;
	--no-assembler) assembler=--disable-asm ;;
	*) break ;;
	esac
	shift
done
[ $# = 2 ] || {
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
}
version=$1
mkdir -p "$2/build"
prefix=$(cd "$2" && pwd)
jobs=$(getconf _NPROCESSORS_ONLN)

checksum() {
	case $1 in
	dav1d-1.5.4) echo 686616b7c69eb88d44459391ab25cac13b6647a3b288835c5784e71c1514a5c5 ;;
	ffmpeg-7.1.5) echo de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f ;;
	ffmpeg-8.1.2) echo 464beb5e7bf0c311e68b45ae2f04e9cc2af88851abb4082231742a74d97b524c ;;
	ffmpeg-9.0.2) echo 8c3850283eb25fa026482078a04051e0be17347b09ef81a0849bec15a96e002e ;;
	*)
		echo "error: no checksum is known for $1; add it to $0" >&2
		return 1
		;;
	esac
}

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# unpack NAME-VERSION URL: into PREFIX/build/NAME-VERSION
unpack() {
	expected=$(checksum "$1")
	archive=$prefix/build/$1.tar.xz
	debian=$(echo "$1" | sed 's/-\([^-]*\)$/_\1.orig.tar.xz/')
	for file in "${SOURCES:-/nonexistent}/$1.tar.xz" "${SOURCES:-/nonexistent}/$debian"; do
		[ ! -f "$file" ] || cp "$file" "$archive"
	done
	[ -f "$archive" ] || curl --fail --location --silent --show-error --output "$archive" "$2"
	found=$(sha256 "$archive")
	if [ "$found" != "$expected" ]; then
		rm "$archive"
		echo "error: $1.tar.xz has the SHA-256 $found, expected $expected" >&2
		exit 1
	fi
	mkdir -p "$prefix/build/$1"
	tar -xJf "$archive" -C "$prefix/build/$1" --strip-components 1
}

# FFmpeg has a parser for AV1, and no decoder that runs on a CPU.
unpack "dav1d-$dav1d_version" "https://downloads.videolan.org/pub/videolan/dav1d/$dav1d_version/dav1d-$dav1d_version.tar.xz"
(
	cd "$prefix/build/dav1d-$dav1d_version"
	[ -d build ] || meson setup build --prefix "$prefix" --libdir lib --buildtype release --default-library static \
		-Denable_tools=false -Denable_tests=false
	ninja -C build install
) >"$prefix/build/dav1d.log" 2>&1 || {
	tail -n 20 "$prefix/build/dav1d.log" >&2
	exit 1
}

decoders=h264,hevc,libdav1d,vp3,theora,vp6,vp6a,vp6f,vp8,vp9,mpeg1video,mpeg2video,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4v3
decoders=$decoders,h261,h263,h263i,h263p,flv,wmv1,wmv2,wmv3,vc1,rv10,rv20,rv30,rv40,cinepak,svq1,svq3,dvvideo
decoders=$decoders,mjpeg,jpeg2000,png,apng,gif,bmp,webp,prores,dnxhd,ffv1,huffyuv,ffvhuff,utvideo,magicyuv,rawvideo,v210
demuxers=mov,matroska,avi,mpegts,mpegps,mpegvideo,flv,asf,ogg,mxf,nut,dv,ivf,obu,rm,h264,hevc,m4v,h263,vc1,mjpeg,gif,apng
# Files of sound alone, whose covers are refused by name; and text, to refuse a playlist as what it is.
demuxers=$demuxers,yuv4mpegpipe,aac,flac,mp3,wav,image_png_pipe,image_jpeg_pipe,image_webp_pipe,image_bmp_pipe
parsers=h264,hevc,av1,vp3,vp8,vp9,mpegvideo,mpeg4video,h261,h263,vc1,rv34,mjpeg,png,gif,webp,bmp,dvbsub,aac,ac3,mpegaudio,opus,vorbis,flac

unpack "ffmpeg-$version" "https://ffmpeg.org/releases/ffmpeg-$version.tar.xz"
(
	cd "$prefix/build/ffmpeg-$version"
	# shellcheck disable=SC2086
	PKG_CONFIG_PATH="$prefix/lib/pkgconfig" ./configure --prefix="$prefix" --pkg-config-flags=--static \
		--disable-everything --disable-autodetect --disable-programs --disable-doc --disable-debug --disable-network \
		--disable-avdevice --disable-avfilter --enable-pic --enable-zlib --enable-libdav1d --enable-protocol=file \
		--enable-decoder="$decoders" --enable-demuxer="$demuxers" --enable-parser="$parsers" \
		--enable-bsf=av1_frame_merge,extract_extradata,vp9_superframe_split $writers $assembler
	make -j "$jobs"
	make install
) >"$prefix/build/ffmpeg.log" 2>&1 || {
	tail -n 20 "$prefix/build/ffmpeg.log" >&2
	exit 1
}
echo "$prefix: FFmpeg $version, $(sed -n 's/^License: //p' "$prefix/build/ffmpeg.log")"
