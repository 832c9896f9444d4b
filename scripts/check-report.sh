#!/bin/sh
# Looks at reports of `eval report` in headless Chromium: nothing but the page is asked for, the console stays empty, no
# foreign text becomes markup, the page fits a phone, its text has contrast in light and dark, and it prints. Pictures are
# left in target/tmp/check-report. Installs Chromium on Debian and Ubuntu where it is missing.
set -eu

cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
	if command -v apt-get >/dev/null; then
		as_root=
		[ "$(id -u)" = 0 ] || as_root=sudo
		echo "installing: chromium" >&2
		$as_root apt-get update -q >&2
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core >&2
	else
		echo "error: Chromium is missing; install it, or Google Chrome" >&2
		exit 1
	fi
fi

cargo test --release --locked --test suite -- --ignored --exact --nocapture \
	report::browser::the_browser_notices_faults \
	report::browser::pages_are_whole_quiet_and_fit_in_a_browser
