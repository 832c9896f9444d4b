#!/bin/sh
# Makes the README's pictures, docs/media/contact-sheet.jpg and docs/media/demo.svg, by running the program: the first is a
# contact sheet that it writes, the second a recording of its demo model at work.
#
# scripts/readme-media.sh
#
# Needs python3, jq and npm, whose svg-term-cli (in target/readme-media) turns the recording into a picture.
# LLAVA_VIDEO names another program than target/release/llava-video.
set -eu

cd "$(dirname "$0")/.."
work=target/readme-media
clips=tests/fixtures/demo
program=${LLAVA_VIDEO:-target/release/llava-video}
[ -x "$program" ] || { echo "no program at $program: run make build" >&2 && exit 1; }
for needed in python3 jq npm; do
	command -v $needed >/dev/null || { echo "$needed is missing" >&2 && exit 1; }
done

mkdir -p "$work" docs/media
[ -x "$work/node_modules/.bin/svg-term" ] ||
	npm install --silent --no-fund --no-audit --prefix "$work" svg-term-cli@2.1.1 >&2

"$program" frames "$clips/clip9-mpeg4.mp4" -n 6 --contact-sheet docs/media/contact-sheet.jpg >/dev/null
python3 scripts/readme-media/record.py "$program" "$clips" "$work/demo.cast"
"$work/node_modules/.bin/svg-term" --in "$work/demo.cast" --out docs/media/demo.svg --window --padding 12
ls -l docs/media >&2
