#!/usr/bin/env bash
# Trains in several processes on one or several machines without a rank table, started by MindSpore's msrun.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python mindspore
exec "$PYTHON" -m dlinknet.launching.launch_scripts msrun distribute_train "$@"
