#!/usr/bin/env bash
# Builds ascend310_infer, runs it on a folder of images and scores what it wrote: result_Files, time_Result and acc.log lie where you
# stand. A .mindir runs on an Ascend, an .onnx on any CPU.
set -euo pipefail
# shellcheck source=scripts/launch.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

# What read_arguments tells of --key=value.
SETTINGS_TEXT="  --class_table=TABLE the masks are of these classes and named as their images (or NAME_L)
  --ignore_index=none their void is one more class
  --threshold=T       road is above it, for the score (0.5)
  --tile_overlap=N    pixels that tiles of larger images share at least (256)
  --fp16=True         has an Ascend compute in float16; else it takes float32 where it can
It waits for the end, and fails where a step fails."
read_arguments "run_infer_310.sh DATA_PATH LABEL_PATH MINDIR_PATH [DEVICE_ID]

  DATA_PATH     folder of images ID_sat.jpg
  LABEL_PATH    folder of their masks ID_mask.png; with --class_table: NAME.png of NAME.jpg
  MINDIR_PATH   what export.py wrote with --batch_size=1, with its .json beside it: FILE.mindir (Ascend) or FILE.onnx (CPU)
  DEVICE_ID     which Ascend; 0 where it is left out" 3 4 "data_path label_path predict_path device_id" "$@"
data=${words[0]} labels=${words[1]} model=${words[2]} device_id=${words[3]:-0}
for_program=() for_score=("$labels")
for setting in ${settings[@]+"${settings[@]}"}; do
    case $setting in
        --class_table=*) for_score+=("$setting" --data_layout=folder --data_path="$data") ;;
        --threshold=* | --ignore_index=*) for_score+=("$setting") ;;
        --tile_overlap=*) for_program+=("$setting") ;;
        --fp16=[Tt]rue) for_program+=(--fp16) ;;
        --fp16=[Ff]alse) ;;
        *) fail "'$setting' is no setting of this script: bash scripts/run_infer_310.sh --help" ;;
    esac
done
need_folder DATA_PATH "$data"
need_folder LABEL_PATH "$labels"
need_file MINDIR_PATH "$model"
need_number DEVICE_ID "$device_id"
case $model in
    *.onnx) engine=(opencv) ;;
    *.mindir) engine=() ;;
    *) fail "MINDIR_PATH must end in .mindir (Ascend) or .onnx (CPU), not $model" ;;
esac

# The score needs no MindSpore, which such a host may not have.
for PYTHON in python python3 "$ROOT/.venv/bin/python" ''; do
    if [ -n "$PYTHON" ] && "$PYTHON" -c 'import cv2, numpy, PIL, tqdm, yaml' 2>/dev/null; then break; fi
done
[ -n "$PYTHON" ] || fail "no Python on PATH has numpy, opencv-python-headless, pillow, pyyaml and tqdm, which the score needs: pip install them"

[ -w . ] || fail "cannot write to $PWD, where the results would lie"
hold infer_310 "the inference"
stamp=$(now)
for old in result_Files time_Result acc.log infer.log; do
    if [ -e "$old" ]; then mv -n "$old" "${old%.log}_before_$stamp${old#"${old%.log}"}"; fi
done
program=$(BUILD_DIR=${BUILD_DIR:-$ROOT/ascend310_infer/build_${engine[0]:-mindspore}} bash "$ROOT/ascend310_infer/build.sh" ${engine[@]+"${engine[@]}"})
echo "running $program; log: $PWD/infer.log"
# GLOG_v: MindSpore's own lines about what the program reports.
status=0
export GLOG_v=${GLOG_v-4}
foreground "$program" --model="$model" --images="$data" --results=result_Files --times=time_Result --device_id="$device_id" \
    ${for_program[@]+"${for_program[@]}"} >infer.log 2>&1 || status=$?
tail -n 1 infer.log
[ -z "$signalled" ] || exit "$status"
[ "$status" = 0 ] || fail "the inference $(outcome "$status" infer.log 0) (log: $PWD/infer.log)"
foreground "$PYTHON" "$ROOT/postprocess.py" result_Files "${for_score[@]}" >acc.log.part || {
    status=$?
    rm -f acc.log.part
    [ -n "$signalled" ] || status=1
    exit "$status"
}
mv acc.log.part acc.log
cat acc.log
