#!/usr/bin/env bash
# Trains on the Ascends that a rank table names, with one process per Ascend.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python mindspore
exec "$PYTHON" -m dlinknet.launching.launch_scripts Ascend distribute_train "$@"
