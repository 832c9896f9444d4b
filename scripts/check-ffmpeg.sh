#!/bin/sh
# The video tests with other versions of FFmpeg than the system's, each built here and linked into the program.
# usage: scripts/check-ffmpeg.sh [VERSION...]   (7.1.5, 8.1.2, 9.0.2 and 8.1.2-c if none is named)
#
# `-c` behind a version leaves out its assembler, so that pictures come from FFmpeg's C code.
# On 2 cores a version takes about ten minutes: two for FFmpeg, the rest for this program. scripts/build-ffmpeg.sh must know
# the version.
set -eu
cd "$(dirname "$0")/.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
failed=
[ $# -gt 0 ] || set -- 7.1.5 8.1.2 9.0.2 8.1.2-c
for version; do
	prefix=$target/check-ffmpeg/$version
	log=$target/check-ffmpeg/$version.log
	if [ ! -f "$prefix/is-complete" ]; then
		case $version in
		*-c) scripts/build-ffmpeg.sh --for-tests --no-assembler "${version%-c}" "$prefix" ;;
		*) scripts/build-ffmpeg.sh --for-tests "$version" "$prefix" ;;
		esac
		touch "$prefix/is-complete"
	fi
	status=0
	PKG_CONFIG_PATH=$prefix/lib/pkgconfig \
		cargo test --release --locked --features static-ffmpeg --test suite -- video:: >"$log" 2>&1 || status=$?
	# No test at all is no success.
	if [ "$status" != 0 ] || ! grep -q '^test result: ok. [1-9]' "$log"; then
		grep -E '^test .* FAILED$|^error' "$log" || tail -n 20 "$log"
		failed="$failed $version"
	fi
	echo "FFmpeg $version: $(grep '^test result' "$log" || echo 'no result')"
done
if [ -n "$failed" ]; then
	echo "error: the video tests fail with FFmpeg$failed; the output is in $target/check-ffmpeg" >&2
	exit 1
fi
