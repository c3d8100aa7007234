#!/usr/bin/env bash
# Trains on the CPU in several processes, to try a training on many devices.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python mindspore
exec "$PYTHON" -m dlinknet.launching.launch_scripts CPU distribute_train "$@"
