#!/bin/sh
# The kernels' tests under the address sanitizer. They need neither candle nor FFmpeg, so a package of their own compiles
# them in a minute; the sanitizer is an unstable option of the compiler, which the variable allows on a stable one.
# It does not see what assembly reads and writes, which is all that the tiles of the matrix unit do.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
package=${1:-"$root/target/sanitized-kernels"}
mkdir -p "$package/src"
cat >"$package/Cargo.toml" <<EOF
[package]
name = "sanitized-kernels"
edition = "2024"
[dependencies]
bytemuck = { version = "1", features = ["extern_crate_alloc"] }
half = "2.7"
libc = "0.2"
memmap2 = "0.9"
rayon = "1.12"
thiserror = "2"
[dev-dependencies]
proptest = { version = "1.12", default-features = false, features = ["std"] }
[profile.test]
opt-level = 2
[workspace]
EOF
cat >"$package/src/lib.rs" <<EOF
#![allow(dead_code, unreachable_pub)]
#[path = "$root/src/kernels/mod.rs"]
mod kernels;
#[path = "$root/src/pages.rs"]
mod pages;
EOF
cp "$root/Cargo.lock" "$package/Cargo.lock"
target=$(rustc -vV | sed -n 's/^host: //p')
cd "$package"
# Leaks are none of its business: of two panics in a region the pool forgets one, on purpose.
export ASAN_OPTIONS=detect_leaks=0
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --target "$target"
