#!/usr/bin/env bash
# Trains on one GPU.
set -euo pipefail
# shellcheck source=scripts/launch.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
standalone_train GPU "$@"
