#!/usr/bin/env bash
# Runs the test suite. --all adds what is slow; other arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
make_environment
cd "$ROOT"
case " $* " in
    *" --all "*)
        # The large networks one at a time: together, with their float64 twins, they need more than 16 GB.
        "$PYTHON" -m pytest "$@" -k "not dlinknet50 and not dlinknet101"
        for model in dlinknet50 dlinknet101; do
            "$PYTHON" -m pytest "$@" tests/models/test_linknet.py -k "$model"
        done
        ;;
    *) exec "$PYTHON" -m pytest "$@" ;;
esac
