# Two commands: `make demo` shows the tool at work, `make test` checks everything. Both install what is missing first.

.PHONY: demo test build setup

DEMO_CLIP := tests/fixtures/clips/real/sk_bigbuckbunny.mp4
DEMO_MODEL := tests/fixtures/golden/ckpt/a_9x9_untied_sharded_bf16

demo: build
	@echo 'note: this checkpoint is tiny and untrained: its answer is noise that shows the way from clip to text' >&2
	@target/release/llava-video ask $(DEMO_CLIP) "describe this video" --model $(DEMO_MODEL) \
		--frames 8 --max-new-tokens 48 --timings

test: setup
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo test --release --locked
	RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --no-deps

build: setup
	cargo build --release --locked

setup:
	@scripts/setup.sh
