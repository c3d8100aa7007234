#!/usr/bin/env bash
# Builds ascend310_infer, runs it on a folder of images and scores the results. Writes result_Files, time_Result, infer.log and
# acc.log into the current folder. A .mindir runs on an Ascend, an .onnx on any CPU.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python cv2 numpy PIL tqdm yaml  # the score does not require MindSpore
exec "$PYTHON" -m dlinknet.launching.launch_scripts Ascend infer_310 "$@"
