#!/bin/sh
# Builds llama.cpp for this machine's processor, from the sources of the pinned wheel: what `make native` calls.
#
#   scripts/native.sh PYTHON FOLDER
#
# PYTHON's environment has cmake and ninja. FOLDER is whole or not there: libraries, and build.json that says of and for what.
set -eu

python=$1
folder=$2
lock=requirements.lock

fail() {
    echo "parley: $*" >&2
    exit 1
}

command -v c++ >/dev/null || fail "a C++ compiler is needed and none was found: apt-get install g++"
tools=$(cd "$(dirname "$python")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sed -n '/^xllamacpp==/,/^ *--hash=[^ ]*$/p' "$lock" >"$work/pinned.txt"
echo "Fetching the sources of $(sed -n 's/^\(xllamacpp==[^ ]*\).*/\1/p' "$work/pinned.txt")"
"$python" -m pip download -qq --disable-pip-version-check --no-deps --no-binary :all: --require-hashes \
    --requirement "$work/pinned.txt" --dest "$work" ||
    fail "the sources could not be fetched; is the package registry reachable?"
mkdir "$work/sources"
tar -xzf "$work"/xllamacpp-*.tar.gz -C "$work/sources" --strip-components 1

echo "Building llama.cpp for this processor (some minutes)"
# Only what llama.h and mtmd.h need: no server, no tools, nothing that is fetched while building.
"$tools/cmake" -S "$work/sources/thirdparty/llama.cpp" -B "$work/build" -G Ninja \
    -DCMAKE_MAKE_PROGRAM="$tools/ninja" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=ON \
    -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH='$ORIGIN' \
    -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF \
    -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_MTMD=ON -DLLAMA_OPENSSL=OFF \
    >"$work/log" 2>&1 || { tail -20 "$work/log" >&2 && fail "llama.cpp could not be configured"; }
"$tools/cmake" --build "$work/build" --target mtmd >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2 && fail "llama.cpp could not be built"; }

mkdir "$work/whole"
cp -a "$work"/build/bin/*.so* "$work/whole/"
"$python" -c '
import json, sys
from parley.core.llama_library import DESCRIPTION, SUPPORTED_VERSION, processor_features
from pathlib import Path
described = {"version": SUPPORTED_VERSION, "features": processor_features()}
Path(sys.argv[1], DESCRIPTION).write_text(json.dumps(described))
' "$work/whole"
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
mv "$work/whole" "$folder"
echo "Built: $folder. \`make serve\` takes it; elsewhere set PARLEY_LLAMA_BUILD=$folder"
