#!/bin/sh
# Makes the rivals in WORKDIR, once: a Python environment with PyTorch, and llama.cpp built for this processor.
# scripts/bench-peers/setup.sh WORKDIR; JOBS says how many compilers run at once.
set -eu

llama_source=llama-cpp-python==0.3.36

[ $# = 1 ] || { echo "usage: $0 WORKDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
jobs=${JOBS:-$(nproc)}

if ! cmp -s "$here/requirements.txt" venv/requirements.txt; then
	echo "installing PyTorch and the other packages of requirements.txt" >&2
	rm -rf venv
	python3 -m venv venv
	venv/bin/pip install -q --no-cache-dir -r "$here/requirements.txt"
	cp "$here/requirements.txt" venv/requirements.txt
fi

command -v c++ >/dev/null || { echo "error: a C++ compiler is needed to build llama.cpp" >&2; exit 1; }
if [ "$(cat llama.cpp/source 2>/dev/null)" != "$llama_source" ]; then
	echo "fetching llama.cpp from $llama_source" >&2
	rm -rf llama.cpp
	mkdir llama.cpp
	venv/bin/pip download -q --no-deps --no-binary llama-cpp-python -d llama.cpp "$llama_source"
	tar -xzf llama.cpp/llama_cpp_python-*.tar.gz -C llama.cpp --strip-components 1
	# Static, so that the programs run from anywhere; without what only serves downloads and tests.
	venv/bin/cmake -S llama.cpp/vendor/llama.cpp -B llama.cpp/build -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/venv/bin/ninja" \
		-DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF \
		-DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF >llama.cpp/build.log
	echo "$llama_source" >llama.cpp/source
fi

if [ "$(cat llama.cpp/built 2>/dev/null)" != "$llama_source" ]; then
	echo "building llama.cpp" >&2
	venv/bin/cmake --build llama.cpp/build -j "$jobs" --target llama-bench llama-quantize >>llama.cpp/build.log
	echo "$llama_source" >llama.cpp/built
fi
