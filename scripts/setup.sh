#!/bin/sh
# Makes sure that what the build needs is there: installs it on Debian and Ubuntu, says what to install elsewhere.
set -eu

rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
packages="build-essential pkg-config clang libclang-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev"

has_libraries() {
	command -v pkg-config >/dev/null && command -v cc >/dev/null && command -v clang >/dev/null &&
		pkg-config --exists libavcodec libavformat libavutil libswscale
}

if ! has_libraries; then
	if command -v apt-get >/dev/null; then
		as_root=
		[ "$(id -u)" = 0 ] || as_root=sudo
		if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
			echo "error: FFmpeg's development files are missing; as root, run: apt-get install $packages" >&2
			exit 1
		fi
		echo "installing: $packages" >&2
		$as_root apt-get update -q >&2
		# shellcheck disable=SC2086
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages >&2
	else
		echo "error: FFmpeg's development files, clang or pkg-config are missing. Install them:" >&2
		echo "  Fedora: sudo dnf install gcc clang-devel pkgconf-pkg-config ffmpeg-free-devel" >&2
		echo "  macOS:  brew install ffmpeg pkg-config llvm" >&2
		exit 1
	fi
fi

if ! command -v cargo >/dev/null; then
	echo "error: cargo is missing; install Rust $rust_needed or newer from https://rustup.rs" >&2
	exit 1
fi
rust_found=$(rustc --version | cut -d ' ' -f 2)
oldest=$(printf '%s\n%s\n' "$rust_needed" "$rust_found" | sort -V | head -n 1)
if [ "$oldest" != "$rust_needed" ]; then
	echo "error: Rust $rust_found is too old, $rust_needed or newer is needed; run: rustup update stable" >&2
	exit 1
fi
