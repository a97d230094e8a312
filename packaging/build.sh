#!/usr/bin/env bash
# build.sh DIST: make both executables there. The same commit, packages and compiler tools give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$1 work=build/work

rm -rf "$work" && mkdir -p "$work/source" "$dist"
# A copy, so that neither what an earlier build left nor what tests cache can get in.
tar -c --exclude=__pycache__ --exclude='*.pyc' bq_server harness pyproject.toml README.md | tar -x -C "$work/source"
build/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index \
    --no-compile --force-reinstall "$work/source"

export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PYINSTALLER_CONFIG_DIR=$PWD/$work/cache
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH
build/venv/bin/pyinstaller --clean --noconfirm --log-level WARN --distpath "$dist" --workpath "$work/pyinstaller" build.spec
(cd "$dist" && sha256sum -c bq-server.sha256 bq-server-dir.tar.gz.sha256 && ls -l)
