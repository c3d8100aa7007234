#!/usr/bin/env bash
# Trains on the CPU.
set -euo pipefail
# shellcheck source=scripts/launch.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
standalone_train CPU "$@"
