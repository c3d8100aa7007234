#!/usr/bin/env bash
# Converts MODEL.onnx to MODEL.om for one kind of Ascend, with CANN's atc. No Ascend is needed.
# usage: bash scripts/convert_om.sh MODEL.onnx SOC_VERSION [--om_precision=...]
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
choose_python cv2 numpy PIL tqdm yaml  # MindSpore is not needed
if [ "${1-}" = --help ] || [ "${1-}" = -h ]; then
    exec "$PYTHON" -m dlinknet convert-om --help
fi
if [ $# -lt 2 ] || [ "${1#-}${2#-}" != "$1$2" ]; then
    fail "usage: bash scripts/convert_om.sh MODEL.onnx SOC_VERSION [--om_precision=...]"
fi
exec "$PYTHON" -m dlinknet convert-om --trained_ckpt="$1" --soc_version="$2" "${@:3}"
