#!/bin/sh
# Packs the crate, and builds and runs the program from what was packed, so that nothing is missing of it.
# usage: scripts/check-package.sh   (after `make test` no dependency is compiled again)
set -eu
cd "$(dirname "$0")/.."

limit_bytes=10000000
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
name=llava-video-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

cargo package --locked --no-verify --allow-dirty --quiet
bytes=$(wc -c <"$target/package/$name.crate")
if [ "$bytes" -gt "$limit_bytes" ]; then
	echo "error: the package has $bytes bytes, more than $limit_bytes" >&2
	exit 1
fi

unpacked=$target/package/unpacked
rm -rf "$unpacked"
mkdir -p "$unpacked"
tar -xzf "$target/package/$name.crate" -C "$unpacked"
# What lies where cargo puts the program is the one that tests use.
restore() {
	[ ! -f "$unpacked/ours" ] || mv "$unpacked/ours" "$target/release/llava-video"
}
trap restore EXIT
[ ! -f "$target/release/llava-video" ] || mv "$target/release/llava-video" "$unpacked/ours"
# Unoptimized, which changes nothing that can be missing. Of the dependencies nothing is compiled again: with the examples
# they have the features that they have in tests.
cargo build --release --locked --bins --examples --manifest-path "$unpacked/$name/Cargo.toml" --target-dir "$target" \
	--config 'profile.release.package.llava-video.opt-level=0'
program=$unpacked/llava-video
mv "$target/release/llava-video" "$program"
restore
trap - EXIT

expected="A cyan star moves left. The background is striped blue."
answer=$("$program" ask tests/fixtures/demo/clip1-h264.mp4 "describe this video" --model demo --quiet --no-cache)
if [ "$answer" != "$expected" ]; then
	echo "error: the packed program answers: $answer" >&2
	exit 1
fi
echo "$name.crate: $bytes bytes, $(tar -tzf "$target/package/$name.crate" | wc -l) files; what it builds answers"
