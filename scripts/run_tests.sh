#!/usr/bin/env bash
# Runs the test suite, two files at a time. --mindspore=2.0 uses MindSpore 2.0.0, in .venv-2.0. --all adds the slow tests. --coverage
# records which lines run in all processes, for `python -m coverage combine` and `report`. Other arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
arguments=()
all=
measure=
beside=requirements-dev.txt
for argument in "$@"; do
    case $argument in
        --mindspore=2.0)
            use_oldest
            beside= # requirements-2.0.txt lists the packages for tests too
            ;;
        --mindspore=*) fail "'$argument' is not understood: use --mindspore=2.0, or leave it out for the MindSpore of requirements.txt" ;;
        --coverage) measure=yes ;;
        --all) all=yes arguments+=("$argument") ;;
        *) arguments+=("$argument") ;;
    esac
done
make_environment
[ -z "$beside" ] || add_requirements "$beside"
cd "$ROOT"
pytest=("$PYTHON" ${measure:+-m coverage run} -m pytest)
if [ -z "$all" ]; then
    exec "${pytest[@]}" -n 2 --dist loadfile --no-loadscope-reorder ${arguments[@]+"${arguments[@]}"}
fi
# Test the large networks one at a time: together with their float64 copies they need more than 16 GB.
foreground "${pytest[@]}" -n 2 --dist loadfile --no-loadscope-reorder "${arguments[@]}" -k "not dlinknet50 and not dlinknet101"
for model in dlinknet50 dlinknet101; do
    foreground "${pytest[@]}" "${arguments[@]}" -k "$model"
done
