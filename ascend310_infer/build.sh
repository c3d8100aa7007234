#!/usr/bin/env bash
# Builds dlinknet_infer into build/ beside this file, or into the folder that BUILD_DIR names. Prints the program's path.
#   bash build.sh             for .mindir files on an Ascend, with the MindSpore of LITE_HOME or MINDSPORE_HOME, else of `python`
#   bash build.sh acl         for .om files on an Ascend, with the CANN of CANN_HOME, else of CANN's own variables or default folder
#   bash build.sh openvino    for .onnx files on a CPU, with the OpenVINO of OpenVINO_DIR, else of `python`
#   bash build.sh opencv      for .onnx files on any CPU
# Set CXX11_ABI=0 in the environment if MindSpore was built with the old ABI. Further arguments go to CMake:
# bash build.sh opencv -DSANITIZE=ON
# Required packages on Debian: g++ cmake pkg-config libopencv-dev libpng-dev libtiff-dev nlohmann-json3-dev
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$here/build}

fail() {
    echo "build.sh: error: $*" >&2
    exit 2
}

for tool in cmake c++; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install g++ cmake pkg-config libopencv-dev libpng-dev libtiff-dev nlohmann-json3-dev"
done
engine=MINDSPORE
case ${1-} in
opencv | openvino | acl)
    engine=${1^^}
    shift
    ;;
esac
if [ "$engine" = ACL ]; then
    found=
    if [ -n "${CANN_HOME-}" ] && ! [ -e "$CANN_HOME/include/acl/acl.h" ]; then
        fail "CANN_HOME: $CANN_HOME has no include/acl/acl.h, which is part of CANN's toolkit"
    fi
    for folder in "${CANN_HOME-}" "${ASCEND_HOME_PATH-}" "${ASCEND_TOOLKIT_HOME-}" /usr/local/Ascend/{ascend-toolkit/latest,latest,cann}; do
        [ -n "$folder" ] && [ -e "$folder/include/acl/acl.h" ] && found=$folder && break
    done
    [ -n "$found" ] || fail "no CANN: include/acl/acl.h is in none of its folders; install CANN's toolkit and source its set_env.sh, or export CANN_HOME=FOLDER"
    export CANN_HOME=$found
fi
if [ "$engine" = MINDSPORE ] && [ -z "${LITE_HOME-}${MINDSPORE_HOME-}" ]; then
    found=$(python -c 'import importlib.util as u; print(u.find_spec("mindspore").submodule_search_locations[0])' 2>/dev/null) ||
        fail "python has no MindSpore: export LITE_HOME=... (MindSpore Lite 2.x) or MINDSPORE_HOME=... (the wheel up to 2.0)"
    if ! [ -e "$found/include/api/model.h" ] || ! [ -e "$found/lib/libmindspore.so" ]; then
        fail "$found has no C++ API (MindSpore's wheel has it up to 2.0): export LITE_HOME=... (MindSpore Lite 2.x)"
    fi
    export MINDSPORE_HOME=$found
fi
if [ "$engine" = OPENVINO ] && [ -z "${OpenVINO_DIR-}" ]; then
    OpenVINO_DIR=$(python -c 'import importlib.util as u; print(u.find_spec("openvino").submodule_search_locations[0])' 2>/dev/null)/cmake ||
        fail "python has no OpenVINO: pip install openvino, or export OpenVINO_DIR=FOLDER (with OpenVINOConfig.cmake)"
    [ -e "$OpenVINO_DIR/OpenVINOConfig.cmake" ] || fail "$OpenVINO_DIR has no OpenVINOConfig.cmake: export OpenVINO_DIR=FOLDER"
    export OpenVINO_DIR
fi
mkdir -p "$build" 2>/dev/null || true
[ -w "$build" ] || fail "cannot write to $build: name another folder with BUILD_DIR=FOLDER"
log=$build/build.log
# Two builds in one folder would disturb each other.
exec 9>"$build/.lock"
flock 9 2>/dev/null || true
# -U makes CMake forget the libraries of an earlier build.
cmake -S "$here" -B "$build" -DENGINE="$engine" -U MINDSPORE_LIBRARY -U ACL_LIBRARY -U OpenVINO_DIR -DCANN_HOME="${CANN_HOME-}" \
    -DLITE_HOME="${LITE_HOME-}" -DMINDSPORE_HOME="${MINDSPORE_HOME-}" -DCXX11_ABI="${CXX11_ABI:-1}" "$@" >"$log" 2>&1 ||
    fail "CMake: $(grep -A3 -m1 'CMake Error' "$log" | tr -s ' \n' ' ') (log: $log)"
cmake --build "$build" --parallel "$(nproc)" >>"$log" 2>&1 || fail "$(grep -m1 'error' "$log" || tail -n 1 "$log") (log: $log)"
echo "$build/dlinknet_infer"
