# Two commands: `make demo` shows the tool at work, `make test` checks everything. Both install what is missing first.

.PHONY: demo test test-long build setup fuzz check-arm check-cuda check-cuda-real check-engines check-report test-cuda bench-peers dist startup

DEMO_CLIP := tests/fixtures/demo/clip1-h264.mp4

demo: build
	target/release/llava-video ask $(DEMO_CLIP) "describe this video" --model demo

test: setup
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo test --release --locked
	RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --no-deps
	scripts/check-package.sh

# Every clip of the fixtures read 20 times in each way, beside other work: the frames are the same each time. Takes a
# quarter of an hour on two cores. Batches of hundreds of clips, killed and resumed, in some minutes more. Then the kernels
# under the address sanitizer, reports in a browser, the engines, and ARM.
test-long: setup
	cargo test --release --locked --test suite -- --ignored --exact --nocapture \
		video::steady::every_clip_reads_the_same_each_time
	cargo test --release --locked --test suite -- --ignored --exact --nocapture --test-threads 1 \
		batch::kills::a_long_batch_that_is_killed_thirty_times_answers_each_clip_once \
		batch::kills::a_long_output_that_is_cut_at_twenty_bytes_is_finished \
		batch::damage::twenty_of_two_hundred_damaged_clips_fail_alone \
		batch::many::eight_claiming_processes_of_which_three_are_killed_for_good \
		batch::memory::the_peak_after_a_thousand_clips_is_that_after_a_hundred
	scripts/sanitize-kernels.sh
	$(MAKE) check-report
	$(MAKE) check-engines
	$(MAKE) check-arm

# The examples of examples/cluster under bash, GNU parallel, Slurm, Ray and a played Kubernetes, each with a process killed
# in the middle. Installs the engines that are missing, as root, and 800 MB of Python packages in target/check-engines.
# ENGINE="--only slurm" takes one.
check-engines: build
	scripts/check-engines.sh $(ENGINE)

# Reports of `eval report` in headless Chromium: light, dark, on a phone and on paper. Pictures in target/tmp/check-report.
check-report: setup
	scripts/check-report.sh

# The tests on ARM, compiled here and run by QEMU: as root, on Debian or Ubuntu. TESTS="cli::ask" takes others of the
# suite.
check-arm: setup
	scripts/check-arm.sh $(TESTS)

# The cuda and flash-attn features, type-checked without a CUDA toolkit.
check-cuda: setup
	scripts/check-cuda.sh

# The same with NVIDIA's own compiler, fetched from PyPI: candle's kernels are really compiled.
check-cuda-real: setup
	scripts/check-cuda-real.sh

# On a machine with an NVIDIA GPU and a CUDA toolkit: the suite's questions, prompts and scores are computed there, against
# the same numbers, with and without flash attention; memory against its plan; speeds. Prints a report to paste into an
# issue. On the CPU stay most unit tests, and tests of what the CPU alone does: plans of its memory, the peak of a process,
# the announcement of long work. CUDA_FLAGS=--no-flash saves the hours that flash attention compiles.
test-cuda: setup
	scripts/test-cuda.sh $(CUDA_FLAGS)

# Speed on this machine's processor, beside PyTorch and llama.cpp, which are fetched from PyPI: an hour or two with nothing
# else running, and 25 GB in target/bench-peers. The table goes to docs/performance.md. BENCH_FLAGS="--only decode-bf16"
# takes one row; scripts/bench-peers/run.sh --list names them.
bench-peers: setup
	scripts/bench-peers/run.sh --docs docs/performance.md $(BENCH_FLAGS)

# The README's contact sheet and terminal recording, made by running the program. Needs python3, jq and npm.
.PHONY: readme-media
readme-media: build
	scripts/readme-media.sh

# A tarball with manual pages and completions, and with cargo-deb a `.deb`, in target/packages. FLAGS=--static makes FFmpeg a
# part of the program; scripts/dist.sh says how.
dist: setup
	scripts/dist.sh $(FLAGS)

# How long the program takes to do little; fails where that is too long. With BUSY=1 processor
# time counts, for a machine that does other work.
startup: setup
	LLAVA_VIDEO_STARTUP_BUSY=$(BUSY) cargo bench --locked --bench startup

# With the examples, so that dependencies get the same features as in tests and are compiled once for both.
build: setup
	cargo build --release --locked --bins --examples

setup:
	@scripts/setup.sh

# Coverage-guided fuzzing, each target for a bounded time: everything between a file and its frames, and directly our own
# parsers of foreign bytes. Needs cargo-fuzz; the sanitizer is an unstable option of the compiler, which the variable
# allows on a stable one.
FUZZ_SECS ?= 600
FUZZ_TARGETS ?= clip moov packet replies
fuzz: setup
	command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
	set -e; for target in $(FUZZ_TARGETS); do \
		seeds=fuzz/seeds/$$target; [ $$target != clip ] || seeds=tests/fixtures/clips/nasty; \
		mkdir -p fuzz/corpus/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target fuzz/corpus/$$target $$seeds -- \
			-max_total_time=$(FUZZ_SECS) -timeout=20 -rss_limit_mb=4096 -max_len=200000; \
	done
