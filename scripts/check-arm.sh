#!/bin/sh
# The tests on ARM (aarch64) without such a machine: compiled here, run by QEMU in a Debian of that architecture.
# usage: scripts/check-arm.sh [TEST...]   (parts of the names of the suite's tests; without any, what takes minutes)
#
# For root on Debian or Ubuntu. It installs what is missing, registers QEMU with the kernel until the next start, and
# mounts nothing that outlives it. Speed under QEMU says nothing of speed on ARM.
set -eu
cd "$(dirname "$0")/.."

triple=aarch64-unknown-linux-gnu
suite=bookworm
development="libc6-dev libgcc-12-dev libstdc++-12-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev"
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$target/check-arm
root=$work/root
# Frames, and the reference's numbers and answers.
[ $# -gt 0 ] || set -- video::clips video::frames video::odd_heights video::odd_streams \
	model::parity model::instructions model::preprocess model::siblings

if [ "$(id -u)" != 0 ]; then
	echo "error: it needs root, to make a Debian of another architecture and to mount this folder there" >&2
	exit 1
fi
missing=
for pair in qemu-aarch64-static:qemu-user-static debootstrap:debootstrap clang:clang \
	aarch64-linux-gnu-g++:g++-aarch64-linux-gnu; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
	apt-get update -q >&2
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
fi
[ -d "$(rustc --print target-libdir --target "$triple")" ] || rustup target add "$triple"

# What the kernel starts programs of another architecture with. QEMU's packages register it where systemd runs.
formats=/proc/sys/fs/binfmt_misc
[ -e "$formats/register" ] || mount -t binfmt_misc binfmt_misc "$formats"
if [ ! -e "$formats/qemu-aarch64" ]; then
	head='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	printf '%s' ":qemu-aarch64:M::$head:$mask:$(command -v qemu-aarch64-static):OCF" >"$formats/register"
fi

if [ ! -e "$root/is-complete" ]; then
	rm -rf "$root"
	mkdir -p "$work"
	debootstrap --arch=arm64 --variant=minbase --include="$(echo "$development ffmpeg" | tr ' ' ',')" "$suite" "$root" >&2
	touch "$root/is-complete"
fi

libraries=$root/usr/lib/aarch64-linux-gnu
# By this name rustc knows whose flags it takes.
linker=$work/gcc
cat >"$linker" <<LINKER
#!/bin/sh
exec aarch64-linux-gnu-gcc --sysroot="$root" \\
	-Wl,-rpath-link="$libraries:$libraries/blas:$libraries/lapack:$libraries/pulseaudio" "\$@"
LINKER
chmod +x "$linker"
export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_SYSROOT_DIR="$root"
export PKG_CONFIG_LIBDIR="$libraries/pkgconfig:$root/usr/share/pkgconfig"
export BINDGEN_EXTRA_CLANG_ARGS="--target=aarch64-linux-gnu --sysroot=$root"
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER="$linker"
# Names the programs when all are there, and none before.
cargo test --no-run --release --locked --target "$triple" --target-dir "$work/build" --lib --bins --test suite 2>&1 |
	tee "$work/compile.log" >&2
programs=$(sed -n 's/^ *Executable .* (\(.*\))$/\1/p' "$work/compile.log")
[ -n "$programs" ] || exit 1

# Runs a command there, in mounts of its own, so that nothing stays mounted.
there() {
	unshare --mount sh -euc '
		root=$1 here=$2 work=$3
		shift 3
		for folder in "$here" "$work"; do
			mkdir -p "$root$folder"
			mount --bind "$folder" "$root$folder"
		done
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		exec chroot "$root" env HOME=/root sh -euc "cd \"\$1\"; shift; exec \"\$@\"" sh "$here" "$@"
	' sh "$root" "$PWD" "$work" "$@"
}

for program in $programs; do
	case $program in
	*/suite-*) there "$program" --test-threads 2 "$@" ;;
	# QEMU tells a process another time of its start than it tells others, so that claims take it for gone.
	*) there "$program" --test-threads 2 --quiet --skip batch::claim ;;
	esac
done
there "$work/build/$triple/release/llava-video" doctor
