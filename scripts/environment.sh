# The other scripts source this file. It sets ROOT, PYTHON and PYTHONPATH, and defines make_environment, which makes .venv with the
# packages of requirements.txt once.
# shellcheck shell=bash

ROOT=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    echo "$(basename "$0"): error: $*" >&2
    exit 2
}

# Run a command, wait for its end, and return its status. SIGTERM, SIGINT and SIGHUP end the command with SIGTERM. The status is then
# 128 + the signal's number, and `signalled` holds this number. Without this function, Bash would end and leave the command running.
# usage: foreground PROGRAM ...
foreground() {
    local child='' status
    signalled=''
    trap 'signalled=15; end_child' TERM
    trap 'signalled=2; end_child' INT
    trap 'signalled=1; end_child' HUP
    ( trap - INT QUIT; exec "$@" ) &        # Bash makes a command in the background ignore them
    child=$!
    [ -z "$signalled" ] || end_child
    while true; do              # a trap ends `wait` before the command has ended
        status=0
        wait "$child" || status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    trap - TERM INT HUP
    [ -z "$signalled" ] || status=$((128 + signalled))
    return "$status"
}
end_child() { [ -z "$child" ] || kill "$child" 2>/dev/null || true; }

# Return whether a training has a checkpoint that `train.py --resume=True` continues from. A kill between two renames leaves only
# LOG_NAME_previous.ckpt. usage: has_checkpoint FOLDER LOG_NAME
has_checkpoint() { [ -e "$1/$2_last.ckpt" ] || [ -e "$1/$2_previous.ckpt" ]; }

# `"$PYTHON" -m dlinknet COMMAND` must work in every current folder.
export PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH}

# Choose the environment that make_environment makes. usage: use_environment FOLDER REQUIREMENTS OLDEST NEWEST; Pythons as in 3.10
use_environment() {
    VENV=$ROOT/$1
    REQUIREMENTS=$ROOT/$2
    OLDEST=${3#3.}
    NEWEST=${4#3.}
    PYTHON=$VENV/bin/python
    FITS="import sys; sys.exit(not (3, $OLDEST) <= sys.version_info[:2] <= (3, $NEWEST))"
}
use_oldest() { use_environment .venv-2.0 requirements-2.0.txt 3.9 3.9; }      # the oldest MindSpore that is tested
use_environment .venv requirements.txt 3.10 3.12      # what MindSpore 2.10 supports

# Print the path of the first Python that fits. PATH and pyenv are searched.
find_python() {
    local name minor
    for name in python3.11 python3 python; do
        if "$name" -c "$FITS" 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    for ((minor = NEWEST; minor >= OLDEST; minor--)); do
        for name in "python3.$minor" "${PYENV_ROOT:-${HOME-}/.pyenv}/versions/3.$minor".*/bin/python; do
            if "$name" -c "$FITS" 2>/dev/null; then
                command -v "$name"
                return
            fi
        done
    done
    return 1
}

# Print the versions that fit: "3.9" or "3.10, 3.11 or 3.12".
pythons() {
    local minor text=3.$OLDEST
    for ((minor = OLDEST + 1; minor <= NEWEST; minor++)); do
        if [ "$minor" = "$NEWEST" ]; then text="$text or 3.$minor"; else text="$text, 3.$minor"; fi
    done
    echo "$text"
}

# Make the chosen environment, unless its packages are installed already.
make_environment() {
    local base stamp=$VENV/requirements.installed
    if cmp -s "$REQUIREMENTS" "$stamp"; then
        return
    fi
    if ! [ -e "$VENV" ]; then
        base=$(find_python) || fail "no Python $(pythons) on PATH, which this MindSpore requires: install one of them" \
            "(apt-get install python3 python3-venv, if your system's python3 is one of them)"
        echo "making $VENV with $("$base" --version)"
        "$base" -m venv "$VENV" >/dev/null 2>&1 || {
            rm -rf "$VENV"
            fail "$base cannot make a virtual environment: apt-get install python3-venv"
        }
    fi
    # An environment that the user made is used, never replaced.
    "$PYTHON" -c "$FITS" 2>/dev/null || fail "$VENV has no Python $(pythons): remove it, or make it with such a Python"
    "$PYTHON" -m pip --version >/dev/null 2>&1 || fail "$VENV has no pip: remove it or install pip into it"
    echo "installing the packages of $(basename "$REQUIREMENTS"): a minute or more, because MindSpore has some hundred MB"
    foreground "$PYTHON" -m pip install -qq --disable-pip-version-check -r "$REQUIREMENTS" || {
        [ -z "$signalled" ] || exit $((128 + signalled))
        fail "pip could not install the packages of $(basename "$REQUIREMENTS"); pip's messages are above"
    }
    # MindSpore requires the compiler's runtime library of the system, which slim containers lack.
    "$PYTHON" -c 'import mindspore, cv2' 2>"$VENV/import.log" ||
        fail "MindSpore or OpenCV cannot be imported ($(tail -n 1 "$VENV/import.log")); on Debian: apt-get install libgomp1"
    cp "$REQUIREMENTS" "$stamp"
}

# Set PYTHON for the scripts that make no environment: to the first Python on PATH or in .venv that has these modules, else to one
# without them. The Python program then reports the missing module. usage: choose_python MODULE ...
choose_python() {
    local modules name
    for modules in "$*" sys; do
        for name in python python3 "$ROOT/.venv/bin/python"; do
            # shellcheck disable=SC2086  # names of modules
            if "$name" -c 'import sys
from importlib.util import find_spec
sys.exit(sys.version_info < (3, 9) or not all(map(find_spec, sys.argv[1:])))' $modules 2>/dev/null; then
                PYTHON=$(command -v "$name")
                return
            fi
        done
    done
    fail "there is no Python 3.9 or later on PATH"
}

# Install the packages of a further requirements file, once. usage: add_requirements FILE
add_requirements() {
    local stamp=$VENV/$1.installed
    if cmp -s "$ROOT/$1" "$stamp"; then
        return
    fi
    echo "installing the packages of $1"
    foreground "$PYTHON" -m pip install -qq --disable-pip-version-check -r "$ROOT/$1" || {
        [ -z "$signalled" ] || exit $((128 + signalled))
        fail "pip could not install the packages of $1; pip's messages are above"
    }
    cp "$ROOT/$1" "$stamp"
}
