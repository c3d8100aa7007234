#!/usr/bin/env bash
# Scores a trained network on one Ascend.
set -euo pipefail
# shellcheck source=scripts/launch.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
standalone_eval Ascend "$@"
