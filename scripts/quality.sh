#!/usr/bin/env bash
# Trains on a data set from scratch, scores it, and writes a report.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if [ $# -lt 2 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
    cat <<EOF
usage: bash scripts/quality.sh DATA OUTPUT [--key=value ...]

  DATA         a folder with train (images and masks), valid (images) and valid_mask (masks), as dlinknet split-data writes it
  OUTPUT       receives the run, the masks of the validation images and quality_report/report.md
  --key=value  settings for train.py and eval.py (python train.py --help)

If you stop the script and call it again, it continues the training.
EOF
    [ $# -ge 2 ] || [ "${1-}" = --help ] || [ "${1-}" = -h ] || exit 2
    exit 0
fi
data=${1/#\~/$HOME}
out=${2/#\~/$HOME}
shift 2
for part in train valid valid_mask; do
    [ -d "$data/$part" ] || fail "there is no folder $data/$part; dlinknet split-data makes train, valid and valid_mask"
done
device=--device_target=auto
settings=(--train_size=384 --epoch_num=30 --batch_size=4 --learning_rate=0.0002 --augment=flips)
for setting in "$@"; do
    case $setting in
        --data_path=* | --output_path=* | --log_name=* | --val_path=* | --val_label_path=* | --predict_path=* | --trained_ckpt=*)
            fail "'${setting%%=*}' is set by this script; call train.py to choose it" ;;
        --device_target=*) device=$setting ;;
        --*=*) settings+=("$setting") ;;
        *) fail "'$setting' is not understood; --help lists the arguments" ;;
    esac
done

make_environment
resume=()
if has_checkpoint "$out" quality; then
    resume=(--resume=True)
fi
foreground "$PYTHON" "$ROOT/train.py" --data_path="$data/train" --val_path="$data/valid" --val_label_path="$data/valid_mask" \
    --output_path="$out" --log_name=quality "$device" "${settings[@]}" ${resume[@]+"${resume[@]}"}
foreground "$PYTHON" "$ROOT/eval.py" --config_path="$out/quality_config.yaml" --data_path="$data/valid" --label_path="$data/valid_mask" "$device" \
    --trained_ckpt="$out/quality_best.ckpt" --predict_path="$out/best"
foreground "$PYTHON" -m dlinknet report --output_path="$out" --log_name=quality --predict_path="$out/best"
