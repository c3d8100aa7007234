# Sourced by the run_*.sh scripts: their arguments, the Python they use, logs, and the processes from start to end.
# shellcheck shell=bash

# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

SETTINGS_TEXT="  --key=value   settings of the command (python train.py --help); relative paths start where you stand
  --wait        wait for the end, and fail where a process fails; without it the work goes on in the background"
STOP_SECONDS=5          # between asking a process to end and killing it

# Splits the script's arguments into `words`, `settings` (--key=value), `waits` and `resumes`.
# usage: read_arguments TEXT FEWEST MOST ARGUMENT...
read_arguments() {
    local text=$1 fewest=$2 most=$3 argument
    shift 3
    words=() settings=() waits='' resumes=''
    for argument in "$@"; do
        case $argument in
            -h | --help)
                printf 'usage: bash scripts/%s\n\n%s\n' "$text" "$SETTINGS_TEXT"
                exit 0
                ;;
            --wait) waits=yes ;;
            --data_path=* | --config_path=* | --run_distribute=*)
                fail "'${argument%%=*}' is the script's own: bash scripts/$(basename "$0") --help" ;;
            --resume | --resume=*) resumes=yes settings+=("$argument") ;;
            --*=* | --tta) settings+=("$argument") ;;
            --*) fail "'$argument' is not understood: settings are --key=value" ;;
            *) words+=("$argument") ;;
        esac
    done
    if [ ${#words[@]} -lt "$fewest" ] || [ ${#words[@]} -gt "$most" ]; then
        fail "usage: bash scripts/${text%%$'\n'*}"
    fi
}

need_folder() { [ -d "$2" ] || fail "$1: there is no folder $2"; }
need_file() { [ -f "$2" ] || fail "$1: there is no file $2"; }
need_number() {
    case $2 in
        '' | *[!0-9]*) fail "$1 must be a whole number, not '$2'" ;;
    esac
}
need_count() {
    need_number "$1" "$2"
    [ "$2" -ge 1 ] || fail "$1 must be at least 1, not $2"
}

# Sets PYTHON to the Python that has MindSpore: the one on PATH, else the project's own environment.
choose_python() {
    local name has='import importlib.util as u, sys; sys.exit(u.find_spec("mindspore") is None)'
    for name in python python3 "$ROOT/.venv/bin/python"; do
        if "$name" -c "$has" 2>/dev/null; then
            PYTHON=$(command -v "$name")
            return
        fi
    done
    fail "no Python on PATH has MindSpore: pip install -r requirements.txt, or make .venv with bash scripts/quickstart.sh"
}

# An earlier file or folder of this name gets another one; a run that is resumed goes on with it.
move_aside() {
    local path=$1 aside
    if [ -n "$resumes" ] || ! [ -e "$path" ]; then
        return
    fi
    aside=${path%.log}_before_$(date +%Y%m%d-%H%M%S)
    case $path in *.log) aside=$aside.log ;; esac
    mv "$path" "$aside"
    echo "an earlier $path is now $aside"
}

# The folders of an earlier training of many processes go into one of another name.
move_logs_aside() {
    local path aside
    aside=LOG_before_$(date +%Y%m%d-%H%M%S)
    if [ -n "$resumes" ]; then
        return
    fi
    for path in LOG[0-9] LOG[0-9][0-9] LOG[0-9][0-9][0-9] msrun; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        mkdir -p "$aside"
        mv "$path" "$aside/"
    done
    [ ! -e "$aside" ] || echo "the logs and checkpoints of an earlier training are now in $aside"
}

# Runs one command with its log in a file, in the background or to its end. usage: run_one LOG COMMAND ...
run_one() {
    local log=$1 status=0
    shift
    move_aside "$log"
    if [ -z "$waits" ]; then
        nohup "$@" >>"$log" 2>&1 </dev/null &
        echo "running in the background as process $!; log: $PWD/$log"
        return
    fi
    echo "running; log: $PWD/$log"
    "$@" >>"$log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        echo "$(basename "$0"): error: the command $(outcome "$status" "$log") (log: $PWD/$log)" >&2
        exit "$status"
    fi
    echo "done; log: $PWD/$log"
}

# usage: standalone_train TARGET ARGUMENT...
standalone_train() {
    local target=$1 device=()
    shift
    read_arguments "$(basename "$0") DATASET CONFIG_PATH$(device_text "$target")

  DATASET       folder of ID_sat.jpg and ID_mask.png
  CONFIG_PATH   settings, for instance dlinknet_config.yaml
The log is ./train.log, checkpoints go to ./output." 2 "$(most_words 2 "$target")" "$@"
    need_folder DATASET "${words[0]}"
    need_file CONFIG_PATH "${words[1]}"
    choose_device "${words[2]-0}" "$target"
    choose_python
    run_one train.log "$PYTHON" "$ROOT/train.py" --data_path="${words[0]}" --config_path="${words[1]}" --output_path=output \
        --run_distribute=False --device_target="$target" ${device[@]+"${device[@]}"} ${settings[@]+"${settings[@]}"}
}

# usage: standalone_eval TARGET ARGUMENT...
standalone_eval() {
    local target=$1 device=()
    shift
    read_arguments "$(basename "$0") DATASET LABEL_PATH CHECKPOINT PREDICT_PATH CONFIG_PATH$(device_text "$target")

  DATASET       folder of ID_sat.jpg
  LABEL_PATH    folder of the true masks ID_mask.png
  CHECKPOINT    a trained network
  PREDICT_PATH  folder that receives masks, overlays and figures
  CONFIG_PATH   settings, for instance dlinknet_config.yaml
The log, with the figures, is ./eval.log." 5 "$(most_words 5 "$target")" "$@"
    need_folder DATASET "${words[0]}"
    need_folder LABEL_PATH "${words[1]}"
    need_file CHECKPOINT "${words[2]}"
    need_file CONFIG_PATH "${words[4]}"
    choose_device "${words[5]-0}" "$target"
    choose_python
    run_one eval.log "$PYTHON" "$ROOT/eval.py" --data_path="${words[0]}" --label_path="${words[1]}" \
        --trained_ckpt="${words[2]}" --predict_path="${words[3]}" --config_path="${words[4]}" \
        --device_target="$target" ${device[@]+"${device[@]}"} ${settings[@]+"${settings[@]}"}
}

device_text() { [ "$1" = CPU ] || echo " [DEVICE_ID] (default 0)"; }
most_words() { if [ "$2" = CPU ]; then echo "$1"; else echo $(($1 + 1)); fi; }
choose_device() {
    need_number DEVICE_ID "$1"
    [ "$2" = CPU ] || device=(--device_id="$1")
}

# The command of a training of many processes, in `training`. usage: many_train DATASET CONFIG_PATH
many_train() {
    training=("$PYTHON" "$ROOT/train.py" --data_path="$1" --config_path="$2" --output_path=LOG0/output --run_distribute=True
        ${settings[@]+"${settings[@]}"})
}

# Starts the processes in `starts` (by rank: what `env` sets for it), each with its log in LOG[rank]/log.log, and watches them.
# usage: run_many TARGET; with `starts_scheduler` another one brings them together.
run_many() {
    local rank
    training+=(--device_target="$1")
    move_logs_aside
    for rank in "${!starts[@]}"; do
        mkdir -p "LOG$rank"
    done
    supervise "${#starts[@]}" "LOG$(first_rank)/launch.log" watched
}

# Runs a function of this file, which starts and watches processes, in the background or to its end.
# usage: supervise PROCESSES LOG FUNCTION ARGUMENT...
supervise() {
    local processes=$1 log=$2
    shift 2
    echo "$processes processes; logs: $PWD/LOG[i]/log.log, checkpoints: $PWD/LOG0/output"
    if [ -n "$waits" ]; then
        "$@"
        return
    fi
    (
        trap '' HUP
        "$@"
    ) >>"$log" 2>&1 </dev/null &
    echo "running in the background; kill $! stops all of them; how they ended: $PWD/$log"
}

first_rank() {
    local ranks=("${!starts[@]}")
    echo "${ranks[0]}"
}

# Starts the processes and waits for their end. The first that fails ends the others.
watched() {
    local rank i failed='' code running=yes names=() logs=() pids=() ended=()
    trap 'stop_all; exit 143' TERM INT
    exec 3>&2 2>/dev/null       # bash itself reports a killed process, in the words of this file
    if [ -n "${starts_scheduler-}" ]; then
        # shellcheck disable=SC2086  # names and values without spaces
        env $starts_scheduler "${training[@]}" >>"LOG0/scheduler.log" 2>&1 </dev/null &
        names+=("the scheduler") logs+=("$PWD/LOG0/scheduler.log")
        pids+=($!)
    fi
    for rank in "${!starts[@]}"; do
        # shellcheck disable=SC2086
        env ${starts[rank]} ${TABLE:+RANK_TABLE_FILE="$TABLE"} "${training[@]}" >>"LOG$rank/log.log" 2>&1 </dev/null &
        names+=("rank $rank") logs+=("$PWD/LOG$rank/log.log")
        pids+=($!)
    done
    while [ -n "$running" ] && [ -z "$failed" ]; do
        running=
        for i in "${!pids[@]}"; do
            [ -z "${ended[i]-}" ] || continue
            if kill -0 "${pids[i]}" 2>/dev/null; then
                running=yes
                continue
            fi
            code=0
            wait "${pids[i]}" || code=$?
            ended[i]=$code
            [ "$code" = 0 ] || failed="$failed${failed:+; }${names[i]} $(outcome "$code" "${logs[i]}") (log: ${logs[i]})"
        done
        [ -z "$running" ] || sleep 0.3
    done
    if [ -n "$failed" ]; then
        stop_all
        echo "$(basename "$0"): error: $failed; the others were stopped" >&3
        exit 1
    fi
    echo "all processes are done"
}

# Ends what still runs of `pids`.
stop_all() {
    local i seconds
    trap - TERM INT
    for i in "${!pids[@]}"; do
        kill "${pids[i]}" 2>/dev/null || true
    done
    for ((seconds = 0; seconds < STOP_SECONDS; seconds++)); do
        [ -n "$(jobs -rp)" ] || return 0
        sleep 1
    done
    for i in "${!pids[@]}"; do
        kill -9 "${pids[i]}" 2>/dev/null || true
    done
}

# How a process ended, in words: from its exit status, and the line of the error in its log. usage: outcome STATUS LOG
outcome() {
    local line
    if [ "$1" -gt 128 ]; then
        echo "was killed by signal $(($1 - 128))"
    else
        line=$(grep -a ': error: ' "$2" | tail -n 1) || line=$(tail -n 1 "$2")
        echo "failed with status $1: $line"
    fi
}

# A port of this machine that nobody uses.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Fills `starts` and `starts_scheduler` for processes of MindSpore's own cluster on this machine. usage: local_cluster SIZE
local_cluster() {
    local rank cluster
    cluster="MS_WORKER_NUM=$1 MS_SCHED_HOST=127.0.0.1 MS_SCHED_PORT=$(free_port) RANK_SIZE=$1"
    starts=()
    for ((rank = 0; rank < $1; rank++)); do
        starts[rank]="$cluster MS_ROLE=MS_WORKER MS_NODE_ID=$rank RANK_ID=$rank DEVICE_ID=$rank"
    done
    starts_scheduler="$cluster MS_ROLE=MS_SCHED"
}

# Starts the processes of this machine through msrun; their logs appear as LOG[rank]/log.log too.
# usage: run_msrun MSRUN HERE FIRST_RANK OPTION...
run_msrun() {
    local msrun=$1 here=$2 first=$3 rank
    shift 3
    move_logs_aside
    mkdir -p msrun
    for ((rank = first; rank < first + here; rank++)); do
        mkdir -p "LOG$rank"
        ln -sfn "../msrun/worker_$rank.log" "LOG$rank/log.log"
    done
    export PATH=${PYTHON%/*}:$PATH          # msrun starts the `python` on PATH
    supervise "$here" msrun/launch.log watched_msrun "$msrun" --log_dir=msrun "$@" "${training[@]:1}"
}

# Runs msrun to its end; where it fails, says which process did.
watched_msrun() {
    local status=0 pid log rank='a process'
    "$@" >msrun/msrun.log 2>&1 </dev/null &
    pid=$!
    trap 'kill -INT $pid; wait $pid; exit 143' TERM INT     # msrun ends its processes then
    wait "$pid" || status=$?
    if [ "$status" = 0 ]; then
        echo "all processes are done"
        return
    fi
    pid=$(sed -n 's/.*Worker process \([0-9]*\) exit with exception.*/\1/p' msrun/msrun.log | head -n 1)
    for log in LOG[0-9]*/log.log; do
        if [ -n "$pid" ] && grep -q "process $pid)" "$log" 2>/dev/null; then
            rank="rank $(expr "$log" : 'LOG\([0-9]*\)') (log: $PWD/$log)"
        fi
    done
    echo "$(basename "$0"): error: $rank failed, the others were stopped; what msrun says of it: $PWD/msrun/msrun.log" >&2
    exit 1
}
