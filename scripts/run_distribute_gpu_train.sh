#!/usr/bin/env bash
# Trains on several GPUs of this machine, with one process per GPU. OpenMPI is not required.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python mindspore
exec "$PYTHON" -m dlinknet.launching.launch_scripts GPU distribute_train "$@"
