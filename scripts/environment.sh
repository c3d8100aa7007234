# Sourced by the other scripts: makes .venv with what requirements.txt lists, once, and sets ROOT and PYTHON.
# shellcheck shell=bash

ROOT=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    echo "$(basename "$0"): error: $*" >&2
    exit 2
}

# Runs a command and waits for its end; its status is the function's. SIGTERM, SIGINT and SIGHUP end the command with SIGTERM,
# and then the status is 128 + the signal's number, which `signalled` holds. Bash alone would end and leave the command behind.
# usage: foreground PROGRAM ...
foreground() {
    local child='' status
    signalled=''
    trap 'signalled=15; end_child' TERM
    trap 'signalled=2; end_child' INT
    trap 'signalled=1; end_child' HUP
    ( trap - INT QUIT; exec "$@" ) &        # bash has a command in the background ignore them
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

# So that `"$PYTHON" -m dlinknet COMMAND` works wherever the user stands.
export PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH}

# Which environment make_environment makes. usage: use_environment FOLDER REQUIREMENTS OLDEST NEWEST; Pythons as in 3.10
use_environment() {
    VENV=$ROOT/$1
    REQUIREMENTS=$ROOT/$2
    OLDEST=${3#3.}
    NEWEST=${4#3.}
    PYTHON=$VENV/bin/python
    FITS="import sys; sys.exit(not (3, $OLDEST) <= sys.version_info[:2] <= (3, $NEWEST))"
}
use_environment .venv requirements.txt 3.10 3.12      # what MindSpore 2.10 supports

# Prints the first Python that fits, of those on PATH and pyenv's.
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

# What fits, in words: "3.9" or "3.10, 3.11 or 3.12".
pythons() {
    local minor text=3.$OLDEST
    for ((minor = OLDEST + 1; minor <= NEWEST; minor++)); do
        if [ "$minor" = "$NEWEST" ]; then text="$text or 3.$minor"; else text="$text, 3.$minor"; fi
    done
    echo "$text"
}

make_environment() {
    local base stamp=$VENV/requirements.installed
    if cmp -s "$REQUIREMENTS" "$stamp"; then
        return
    fi
    if ! [ -e "$VENV" ]; then
        base=$(find_python) || fail "no Python $(pythons) on PATH, which this MindSpore needs: install one of them" \
            "(apt-get install python3 python3-venv, where that is one of them)"
        echo "making $VENV with $("$base" --version)"
        "$base" -m venv "$VENV" >/dev/null 2>&1 || {
            rm -rf "$VENV"
            fail "$base cannot make a virtual environment: apt-get install python3-venv"
        }
    fi
    # An environment of the user's own is used, never replaced.
    "$PYTHON" -c "$FITS" 2>/dev/null || fail "$VENV has no Python $(pythons): remove it or make it anew"
    "$PYTHON" -m pip --version >/dev/null 2>&1 || fail "$VENV has no pip: remove it or install pip into it"
    echo "installing what $(basename "$REQUIREMENTS") lists: MindSpore is some hundred MB, which takes a minute or more"
    foreground "$PYTHON" -m pip install -qq --disable-pip-version-check -r "$REQUIREMENTS" || {
        [ -z "$signalled" ] || exit $((128 + signalled))
        fail "pip could not install $(basename "$REQUIREMENTS"); its own lines are above"
    }
    # MindSpore takes the compiler's runtime from the system; slim containers lack it.
    "$PYTHON" -c 'import mindspore, cv2' 2>"$VENV/import.log" ||
        fail "MindSpore or OpenCV cannot be imported ($(tail -n 1 "$VENV/import.log")); on Debian: apt-get install libgomp1"
    cp "$REQUIREMENTS" "$stamp"
}

# Sets PYTHON for the scripts that find one rather than make one: to the first of PATH's and .venv's that has these modules,
# else to one without them, which says what is missing. usage: choose_python MODULE ...
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

# Installs what a further requirements file lists, once. usage: add_requirements FILE
add_requirements() {
    local stamp=$VENV/$1.installed
    if cmp -s "$ROOT/$1" "$stamp"; then
        return
    fi
    echo "installing what $1 lists"
    foreground "$PYTHON" -m pip install -qq --disable-pip-version-check -r "$ROOT/$1" || {
        [ -z "$signalled" ] || exit $((128 + signalled))
        fail "pip could not install $1; its own lines are above"
    }
    cp "$ROOT/$1" "$stamp"
}
