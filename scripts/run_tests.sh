#!/usr/bin/env bash
# Runs the test suite. --all adds what is slow; other arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
make_environment
cd "$ROOT"
exec "$PYTHON" -m pytest "$@"
