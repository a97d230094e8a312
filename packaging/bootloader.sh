#!/usr/bin/env bash
# bootloader.sh: give build/venv a bootloader that needs nothing but the C library. The ready-made one also needs zlib,
# which a bare machine may not have. It is compiled from the source of the same pinned release.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cc >/dev/null; then
    echo "no C compiler: the executables will need zlib (libz.so.1) where they run" >&2
    exit
fi
pinned=build/pyinstaller.txt
sed -n '/^pyinstaller==/,/^ *# via/p' requirements/binary.txt >"$pinned"
PYI_STATIC_ZLIB=1 PYINSTALLER_COMPILE_BOOTLOADER=1 CFLAGS="-ffile-prefix-map=$PWD=." build/venv/bin/pip install --quiet \
    --disable-pip-version-check --require-hashes --no-cache-dir --no-deps --force-reinstall \
    --no-build-isolation --no-binary pyinstaller -r "$pinned"
