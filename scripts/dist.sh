#!/bin/sh
# What is handed to others, in target/packages: a tarball with manual pages and completions, and on Debian a `.deb` as well.
# usage: scripts/dist.sh [--static]
#
# `--static` makes FFmpeg a part of the program. scripts/build-ffmpeg.sh built it, and PKG_CONFIG_PATH names it. Without it
# the program needs the FFmpeg of the system that it was built on.
set -eu
cd "$(dirname "$0")/.."

features=
case ${1:-} in
--static) features=static-ffmpeg ;;
"") ;;
*)
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
	;;
esac

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
triple=$(rustc -vV | sed -n 's/^host: //p')
name=llava-video-$version-$triple
out=$target/packages
stage=$out/stage

cargo build --release --locked --bins --examples --features "$features"
program=$target/release/llava-video

rm -rf "$out"
mkdir -p "$stage/completions" "$stage/licences"
"$program" man "$stage/man"
"$program" completions bash >"$stage/completions/llava-video"
"$program" completions zsh >"$stage/completions/_llava-video"
"$program" completions fish >"$stage/completions/llava-video.fish"
python3 scripts/third-party-licences.py "$features" >"$stage/licences/third-party.txt"
if [ -n "$features" ]; then
	prefix=$(pkg-config --variable=prefix libavcodec)
	for file in "$prefix"/build/ffmpeg-*/COPYING.LGPLv2.1 "$prefix"/build/dav1d-*/COPYING; do
		library=$(basename "$(dirname "$file")")
		cp "$file" "$stage/licences/$library-$(basename "$file").txt"
	done
fi

# The tarball: a folder with everything, whose files are the same whoever packs them.
folder=$out/$name
mkdir -p "$folder"
cp "$program" README.md CHANGELOG.md SECURITY.md LICENSE "$folder"
cp -R docs "$stage/man" "$stage/completions" "$stage/licences" "$folder"
cp tests/fixtures/demo/clip1-h264.mp4 "$folder/demo.mp4"
fixed=
if tar --version 2>/dev/null | grep -q GNU; then
	fixed="--sort=name --owner=0 --group=0 --numeric-owner --mtime=@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
fi
# shellcheck disable=SC2086
tar -C "$out" $fixed -cf - "$name" | gzip -9 -n >"$out/$name.tar.gz"
rm -r "$folder"

if command -v dpkg-deb >/dev/null; then
	if command -v cargo-deb >/dev/null; then
		# cargo-deb looks for what is staged in the folder that Cargo.toml names.
		[ "$target" = "$PWD/target" ] || {
			mkdir -p target/packages
			rm -rf target/packages/stage
			cp -R "$stage" target/packages/stage
		}
		cargo deb --locked --no-build --no-strip --output "$out/"
	else
		echo "note: no .deb without cargo-deb; to get it: cargo install cargo-deb --locked" >&2
	fi
fi
rm -r "$stage"
ls -l "$out"
