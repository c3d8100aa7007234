#!/usr/bin/env bash
# Trains D-LinkNet34 on drawn aerial scenes, or on your images, and scores it on images that it has not seen.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

usage() {
    cat <<EOF
usage: bash scripts/quickstart.sh [--data FOLDER] [--again] [--key=value ...]

  --data FOLDER  your images ID_sat.jpg and masks ID_mask.png, or a folder with train, valid and valid_mask of such files;
                 without it, aerial scenes are drawn
  --again        draw or split the images again, and train from the start; without it, the results of an earlier call are used
  --key=value    settings for train.py (python train.py --help), for instance --epoch_num=30

Results go to quickstart/ in the project's folder.
EOF
}

data=
again=
device=--device_target=auto
settings=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --data) [ $# -gt 1 ] || fail "--data needs a folder"; data=$2; shift ;;
        --data=*) data=${1#*=} ;;
        --again) again=yes ;;
        --data_path=* | --output_path=* | --log_name=* | --val_path=* | --val_label_path=*)
            fail "'${1%%=*}' is set by this script; call train.py to choose it" ;;
        --device_target=*) device=$1 ;;
        --*=*) settings+=("$1") ;;
        *) fail "'$1' is not understood; --help lists the arguments" ;;
    esac
    shift
done
data=${data/#\~/$HOME}
if [ -n "$data" ]; then
    [ -d "$data" ] || fail "--data: there is no folder $data"
    data=$(CDPATH='' cd "$data" && pwd)
fi

make_environment
# Remove the images that an earlier call drew or split, if that call was stopped half way or --again is given.
clear_scenes() {
    if [ -n "$again" ] || ! [ -d "$scenes/valid_mask" ]; then
        rm -rf "$scenes"
    fi
}
if [ -n "$data" ]; then
    out=$ROOT/quickstart/$(basename "$data")-$(cksum <<<"$data" | cut -d ' ' -f 1)
    scenes=$out/data
    if [ -d "$data/train" ] && [ -d "$data/valid" ] && [ -d "$data/valid_mask" ]; then
        scenes=$data
    elif clear_scenes; ! [ -d "$scenes" ]; then
        foreground "$PYTHON" -m dlinknet split-data --data_path="$data" --output_path="$scenes" --val_split=0.1
    fi
    recipe=(--train_size=256 --epoch_num=20 --learning_rate=0.0005)
else
    out=$ROOT/quickstart/drawn
    scenes=$out/data
    clear_scenes
    if ! [ -d "$scenes" ]; then
        foreground "$PYTHON" -m dlinknet draw-scenes --output_path="$scenes" --scene_num=92 --val_split=0.13 --scene_size=256
    fi
    recipe=(--train_size=128 --epoch_num=8 --learning_rate=0.001)
fi

# A tenth of the training folder is held out, to choose the best epoch. The images that are scored below have no part in that.
trained=$out/output/quickstart.trained
begun=$out/output/quickstart.begun
asked="${recipe[*]} ${settings[*]-}"
if [ -n "$again" ] || [ "$(cat "$trained" 2>/dev/null)" != "$asked" ]; then
    # A training that was interrupted continues.
    if [ -z "$again" ] && [ "$(cat "$begun" 2>/dev/null)" = "$asked" ] && has_checkpoint "$out/output" quickstart; then
        settings+=(--resume=True)
    fi
    rm -f "$trained"
    mkdir -p "$out/output"
    echo "$asked" >"$begun"
    foreground "$PYTHON" "$ROOT/train.py" --data_path="$scenes/train" --val_split=0.1 --output_path="$out/output" \
        --log_name=quickstart "$device" "${recipe[@]}" ${settings[@]+"${settings[@]}"}
    mv "$begun" "$trained"
else
    echo "using the network of an earlier call; --again trains from the start"
fi
foreground "$PYTHON" "$ROOT/eval.py" "$device" --data_path="$scenes/valid" --label_path="$scenes/valid_mask" \
    --trained_ckpt="$out/output/quickstart_best.ckpt" --predict_path="$out/predictions"
cat <<EOF

Open these pictures:
  $out/predictions/overlays/   each unseen image, its roads found (teal), missed (red) and false (yellow)
  $out/output/quickstart_curves.png   loss and figures over the epochs

Before you call train.py and the other commands, choose their Python: . ${PYTHON%/*}/activate
EOF
