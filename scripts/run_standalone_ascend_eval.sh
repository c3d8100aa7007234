#!/usr/bin/env bash
# Scores a trained network on one Ascend.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python mindspore
exec "$PYTHON" -m dlinknet.launching.launch_scripts Ascend standalone_eval "$@"
