# Sourced by the other scripts: makes .venv with what requirements.txt lists, once, and sets ROOT and PYTHON.
# shellcheck shell=bash

ROOT=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=$ROOT/.venv/bin/python
FITS='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'     # what MindSpore 2.10 supports

fail() {
    echo "$(basename "$0"): error: $*" >&2
    exit 2
}

# Prints the first Python on PATH that MindSpore 2.10 supports.
find_python() {
    local name
    for name in python3.11 python3.12 python3.10 python3 python; do
        if "$name" -c "$FITS" 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_environment() {
    local base stamp=$ROOT/.venv/requirements.installed
    if cmp -s "$ROOT/requirements.txt" "$stamp"; then
        return
    fi
    if ! [ -e "$ROOT/.venv" ]; then
        base=$(find_python) || fail "no Python 3.10, 3.11 or 3.12 on PATH, which MindSpore 2.10 needs: install one of them" \
            "(apt-get install python3 python3-venv, where that is one of them)"
        echo "making $ROOT/.venv with $("$base" --version)"
        "$base" -m venv "$ROOT/.venv" >/dev/null 2>&1 || {
            rm -rf "$ROOT/.venv"
            fail "$base cannot make a virtual environment: apt-get install python3-venv"
        }
    fi
    # An environment of the user's own is used, never replaced.
    "$PYTHON" -c "$FITS" 2>/dev/null || fail "$ROOT/.venv has no Python 3.10, 3.11 or 3.12: remove it or make it anew"
    "$PYTHON" -m pip --version >/dev/null 2>&1 || fail "$ROOT/.venv has no pip: remove it or install pip into it"
    echo "installing what requirements.txt lists: MindSpore is some hundred MB, which takes a minute or more"
    "$PYTHON" -m pip install -qq --disable-pip-version-check -r "$ROOT/requirements.txt" ||
        fail "pip could not install requirements.txt; its own lines are above"
    # MindSpore takes the compiler's runtime from the system; slim containers lack it.
    "$PYTHON" -c 'import mindspore, cv2' 2>"$ROOT/.venv/import.log" ||
        fail "MindSpore or OpenCV cannot be imported ($(tail -n 1 "$ROOT/.venv/import.log")); on Debian: apt-get install libgomp1"
    cp "$ROOT/requirements.txt" "$stamp"
}
