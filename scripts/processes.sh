# Sourced by the run_distribute_*.sh scripts: many processes of one training, started, watched and ended together.
# shellcheck shell=bash

# shellcheck source=scripts/launch.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

STOP_SECONDS=5          # between asking a process to end and killing it
# shellcheck disable=SC2034  # the scripts give it to read_arguments
OWNED="data_path config_path output_path run_distribute device_id"
table='' scheduler='' starts=()

# The command of the training, in `training`. usage: many_train DATASET CONFIG_PATH
many_train() {
    training=("$PYTHON" "$ROOT/train.py" --data_path="$1" --config_path="$2" --output_path="$PWD/LOG0/output"
        --run_distribute=True ${settings[@]+"${settings[@]}"})
    case " ${settings[*]-} " in
        *" --enable_modelarts="*) STOP_SECONDS=60 ;;    # rank 0 takes its last checkpoint to OBS
    esac
}

# Makes LOG[i] of these ranks, and moves what an earlier training left there into a folder of another name, unless it is resumed.
# usage: make_logs ALL RANK...; ALL: how many ranks the training has on all machines
make_logs() {
    local all=$1 aside path rank old=()
    shift
    aside=LOG_before_$(now)
    for rank in "$@"; do
        old+=("LOG$rank")
    done
    if [ "$all" = $# ]; then        # all ranks are here: those of an earlier training of more ranks are old too
        for path in LOG[0-9]*; do
            if [[ $path =~ ^LOG[0-9]+$ ]]; then old+=("$path"); fi
        done
    fi
    for path in "${old[@]}"; do
        if [ -z "$resumes" ] && [ -e "$path" ]; then
            mkdir -p "$aside"
            mv "$path" "$aside/"
        fi
    done
    if [ -e "$aside" ]; then
        echo "the logs and checkpoints of an earlier training are now in $aside"
    fi
    for rank in "$@"; do
        mkdir -p "LOG$rank"
    done
}

# Runs a function of this file, which starts and watches processes, in the background or to its end.
# usage: supervise PROCESSES LOG FUNCTION ARGUMENT...
supervise() {
    local processes=$1 log=$2
    shift 2
    echo "$processes processes; logs: $PWD/LOG[i]/log.log, checkpoints of rank 0: $PWD/LOG0/output"
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

# Starts the processes in `starts` (by rank: what `env` sets for it), each with its log in LOG[rank]/log.log, and watches them.
# usage: run_many TARGET SIZE; with `scheduler` another one brings them together
run_many() {
    local ranks=("${!starts[@]}")
    hold LOG "a training"
    training+=(--device_target="$1")
    make_logs "$2" "${ranks[@]}"
    supervise "${#ranks[@]}" "LOG${ranks[0]}/launch.log" watched
}

# Starts one process of `training`. usage: start NAME LOG VARIABLE=VALUE...
start() {
    names+=("$1") logs+=("$PWD/$2") began+=("$(size_of "$2")")
    local log=$2
    shift 2
    env "$@" ${table:+RANK_TABLE_FILE="$table"} "${training[@]}" >>"$log" 2>&1 </dev/null &
    pids+=($!)
}

# Starts the processes and waits for their end. The first that fails ends the others.
watched() {
    local rank i failed='' code running=yes names=() logs=() began=() pids=() ended=()
    # shellcheck disable=SC2016  # it is expanded when the signal comes
    trap_signals 'stop_all "${pids[@]}"'
    exec 3>&2 2>/dev/null       # bash itself reports a killed process, in the words of this file
    if [ -n "$scheduler" ]; then
        # shellcheck disable=SC2086  # names and values without spaces
        start "the scheduler" LOG0/scheduler.log $scheduler
    fi
    for rank in "${!starts[@]}"; do
        # shellcheck disable=SC2086
        start "rank $rank" "LOG$rank/log.log" ${starts[rank]}
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
            if [ "$code" = 139 ] && is_done "${logs[i]}" "${began[i]}"; then
                echo "${names[i]} crashed while MindSpore shut down, after its training was done"
                code=0
            fi
            ended[i]=$code
            if [ "$code" != 0 ]; then
                failed="$failed${failed:+; }${names[i]} $(outcome "$code" "${logs[i]}" "${began[i]}") (log: ${logs[i]})"
            fi
        done
        [ -z "$running" ] || sleep 0.3
    done
    if [ -n "$failed" ]; then
        stop_all "${pids[@]}"
        echo "$(basename "$0"): error: $failed; the others were stopped" >&3
        exit 1
    fi
    echo "all processes are done"
}

# Whether a training was done, from its log behind the first bytes. MindSpore 2.10 sometimes crashes after that, when the
# connections of its processes are taken down.
is_done() { tail -c "+$(($2 + 1))" "$1" | grep -aq ' training is done$'; }

# Has a signal run a command that ends all processes, and then this shell with 128 + its number. usage: trap_signals COMMAND
trap_signals() {
    # shellcheck disable=SC2064  # the command is expanded when the signal comes, for it is in single quotes
    trap "$1; echo stopped >&3; exit 143" TERM
    # shellcheck disable=SC2064
    trap "$1; echo stopped >&3; exit 130" INT
    if [ -n "$waits" ]; then        # in the background a terminal that closes ends nothing
        # shellcheck disable=SC2064
        trap "$1; echo stopped >&3; exit 129" HUP
    fi
}

# Ends processes that still run: asks them, and kills those that have not ended soon. usage: stop_all PID...
stop_all() {
    local pid tenths
    trap '' TERM INT HUP        # another signal must not leave a process behind
    kill "$@" 2>/dev/null || true
    for ((tenths = 0; tenths < 10 * STOP_SECONDS; tenths++)); do
        for pid in "$@"; do
            if kill -0 "$pid" 2>/dev/null; then
                sleep 0.1
                continue 2
            fi
        done
        return 0
    done
    kill -9 "$@" 2>/dev/null || true
}

# A port of this machine that nobody uses.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Whether nobody of this machine listens at a port: msrun would wait without an end. usage: is_free PORT
is_free() {
    "$PYTHON" -c 'import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))' "$1" 2>/dev/null
}

# Fills `starts` and `scheduler` for processes of MindSpore's own cluster on this machine. usage: local_cluster SIZE
local_cluster() {
    local rank cluster size=$((10#$1))
    cluster="MS_WORKER_NUM=$size MS_SCHED_HOST=127.0.0.1 MS_SCHED_PORT=$(free_port) RANK_SIZE=$size"
    for ((rank = 0; rank < size; rank++)); do
        starts[rank]="$cluster MS_ROLE=MS_WORKER MS_NODE_ID=$rank RANK_ID=$rank DEVICE_ID=$rank"
    done
    scheduler="$cluster MS_ROLE=MS_SCHED"
}

# Starts the processes of this machine through msrun; their logs appear as LOG[rank]/log.log too.
# usage: run_msrun MSRUN SIZE HERE FIRST_RANK OPTION...
run_msrun() {
    local msrun=$1 size=$2 here=$3 first=$4 rank folder moment
    shift 4
    moment=$(now)
    folder=msrun_$moment
    hold LOG "a training"
    # shellcheck disable=SC2046
    make_logs "$size" $(seq "$first" $((first + here - 1)))
    mkdir -p "$folder"
    for ((rank = first; rank < first + here; rank++)); do
        if [ -e "LOG$rank/log.log" ] || [ -L "LOG$rank/log.log" ]; then
            mv -n "LOG$rank/log.log" "LOG$rank/log_before_$moment.log"
        fi
        ln -s "../$folder/worker_$rank.log" "LOG$rank/log.log"
    done
    export PATH=${PYTHON%/*}:$PATH          # msrun starts the `python` or `python3` on PATH
    [ "${PYTHON##*/}" = python3 ] || training=("${training[@]:1}")
    [ "${PYTHON##*/}" != python3 ] || training[0]=python3
    supervise "$here" "$folder/launch.log" watched_msrun "$folder" "$here" "$first" \
        "$msrun" --log_dir="$folder" --tail_worker_log=0 "$@" "${training[@]}"
}

# Runs msrun to its end. Where a process fails, says which, and does not wait for msrun's scheduler.
# usage: watched_msrun FOLDER PROCESSES FIRST_RANK MSRUN ...
watched_msrun() {
    local folder=$1 here=$2 first=$3 i pid child code=0 word rank rank_of=() failed='a process failed'
    shift 3
    exec 3>&2 2>/dev/null
    "$@" >"$folder/msrun.log" 2>&1 </dev/null &
    pid=$!
    # shellcheck disable=SC2016
    trap_signals 'stop_all $(children "$pid") "$pid"'
    while kill -0 "$pid"; do
        for child in $([ ${#rank_of[@]} = "$here" ] || children "$pid"); do
            # A worker says its rank; a process that has just ended says nothing.
            word=$(tr '\0' ' ' <"/proc/$child/environ" | sed -n 's/.*MS_ROLE=MS_WORKER .*/&/p') || continue
            word=${word##*RANK_ID=}
            if [ -n "$word" ]; then
                rank_of[child]=${word%% *}
            fi
        done
        grep -q 'exit with exception' "$folder/msrun.log" && sleep 1 && break
        sleep 0.3
    done
    if ! grep -q 'exit with exception' "$folder/msrun.log" && wait "$pid"; then
        echo "all processes are done"
        return
    fi
    # shellcheck disable=SC2046
    stop_all $(children "$pid") "$pid"
    word=$(sed -n 's/.*Worker process \([0-9]*\) exit with exception. Error code: \(-\{0,1\}[0-9]*\).*/\1 \2/p' \
        "$folder/msrun.log" | head -n 1)
    rank=${rank_of[${word% *}+0]-}
    for ((i = first; i < first + here; i++)); do
        is_done "LOG$i/log.log" 0 || break
    done
    if [ "$i" = $((first + here)) ]; then
        echo "all processes are done; one crashed while MindSpore shut down"
        return
    fi
    if [ -z "$rank" ]; then         # it ended before it was seen
        rank=$(grep -al ': error: ' LOG[0-9]*/log.log | head -n 1 | tr -cd '0-9') || rank=
    fi
    if [ -n "$word" ] && [ -n "$rank" ]; then
        code=${word#* }
        [ "$code" -ge 0 ] || code=$((128 - code))
        failed="rank $rank $(outcome "$code" "LOG$rank/log.log" 0) (log: $PWD/LOG$rank/log.log)"
    fi
    echo "$(basename "$0"): error: $failed; the others were stopped; what msrun says of it: $PWD/$folder/msrun.log" >&3
    exit 1
}

# The processes that a process has started. usage: children PID
children() {
    local file line parent
    for file in /proc/[0-9]*/stat; do
        read -r line <"$file" || continue
        parent=${line##*) }                 # state parent ...
        parent=${parent#* }
        [ "${parent%% *}" != "$1" ] || basename "$(dirname "$file")"
    done
}
