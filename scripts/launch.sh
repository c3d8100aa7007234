# Sourced by the run_*.sh scripts: their arguments, the Python they use, logs, and the training or evaluation of one process.
# shellcheck shell=bash

# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

SETTINGS_TEXT="  --key=value   settings of the command (python train.py --help); relative paths start where you stand
  --wait        wait for the end, and fail where a process fails; without it the work goes on in the background"

# Splits the script's arguments into `words`, `settings` (--key=value), `waits` and `resumes`.
# usage: read_arguments TEXT FEWEST MOST OWNED ARGUMENT...; OWNED are the settings that the script itself gives
read_arguments() {
    local text=$1 fewest=$2 most=$3 owned=" $4 " argument key
    shift 4
    words=() settings=() waits='' resumes=''
    for argument in "$@"; do
        key=${argument%%=*}
        case $argument in
            -h | --help)
                printf 'usage: bash scripts/%s\n\n%s\n' "$text" "$SETTINGS_TEXT"
                exit 0
                ;;
            --wait) waits=yes ;;
            --resume=False | --resume=false | --resume=no | --resume=0 | --resume=) ;;
            --resume | --resume=*) resumes=yes settings+=("$argument") ;;
            --*=* | --tta)
                case $owned in
                    *" ${key#--} "*) fail "'$key' is the script's own: bash scripts/$(basename "$0") --help" ;;
                esac
                settings+=("$argument")
                ;;
            --*) fail "'$argument' is not understood: settings are --key=value" ;;
            *) words+=("$argument") ;;
        esac
    done
    if [ ${#words[@]} -lt "$fewest" ] || [ ${#words[@]} -gt "$most" ]; then
        fail "usage: bash scripts/${text%%$'\n'*}"
    fi
}

is_remote() {           # a ModelArts job brings it
    case $1 in
        s3://* | obs://*) ;;
        *) false ;;
    esac
}
need_folder() { is_remote "$2" || [ -d "$2" ] || fail "$1: there is no folder $2"; }
need_file() { is_remote "$2" || [ -f "$2" ] || fail "$1: there is no file $2"; }
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

now() { date +%Y%m%d-%H%M%S; }

# Holds a lock for this folder, on this machine, until this process and those that it starts have ended. usage: hold NAME WHAT
hold() {
    command -v flock >/dev/null || return 0
    exec 9>>"${TMPDIR:-/tmp}/dlinknet_$(id -u)_$1_$(cksum <<<"$PWD" | cut -d ' ' -f 1).lock"
    flock -n 9 || fail "$2 that was started in $PWD is still running: wait, stop it, or call this in another folder"
}

# How a process ended, in words: from its exit status, and the line of the error behind the first bytes of its log.
# usage: outcome STATUS LOG BYTES
outcome() {
    local line
    line=$(tail -c "+$(($3 + 1))" "$2" 2>/dev/null | grep -a ': error: ' | tail -n 1) || line=
    if [ "$1" -gt 128 ]; then
        case $line in               # a signal that lets a command say its last line
            *': error: ended by SIG'* | *': error: interrupted (SIG'*) echo "failed with status $1: $line" ;;
            *) echo "was killed by signal $(($1 - 128))" ;;
        esac
        return
    fi
    [ -n "$line" ] || line=$(tail -c "+$(($3 + 1))" "$2" 2>/dev/null | tail -n 1)
    echo "failed with status $1: $line"
}

size_of() { if [ -e "$1" ]; then wc -c <"$1"; else echo 0; fi; }

# Runs one command with its log in a file, in the background or to its end. usage: run_one NAME COMMAND ...
run_one() {
    local log=$1.log status=0 began
    hold "$1" "the work of $log"
    shift
    if [ -e "$log" ] && [ -z "$resumes" ]; then
        mv -n "$log" "${log%.log}_before_$(now)-$$.log"
    fi
    began=$(size_of "$log")
    if [ -z "$waits" ]; then
        nohup "$@" >>"$log" 2>&1 </dev/null &
        echo "running in the background as process $!; log: $PWD/$log"
        return
    fi
    echo "running; log: $PWD/$log"
    foreground "$@" >>"$log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        echo "$(basename "$0"): error: the command $(outcome "$status" "$log" "$began") (log: $PWD/$log)" >&2
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
The log is ./train.log, checkpoints go to ./output." 2 "$(most_words 2 "$target")" \
        "data_path config_path output_path run_distribute device_target device_id" "$@"
    need_folder DATASET "${words[0]}"
    need_file CONFIG_PATH "${words[1]}"
    choose_device "${words[2]-0}" "$target"
    choose_python
    run_one train "$PYTHON" "$ROOT/train.py" --data_path="${words[0]}" --config_path="${words[1]}" --output_path=output \
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
The log, with the figures, is ./eval.log." 5 "$(most_words 5 "$target")" \
        "data_path label_path trained_ckpt predict_path config_path device_target device_id" "$@"
    need_folder DATASET "${words[0]}"
    need_folder LABEL_PATH "${words[1]}"
    need_file CHECKPOINT "${words[2]}"
    need_file CONFIG_PATH "${words[4]}"
    choose_device "${words[5]-0}" "$target"
    choose_python
    run_one eval "$PYTHON" "$ROOT/eval.py" --data_path="${words[0]}" --label_path="${words[1]}" \
        --trained_ckpt="${words[2]}" --predict_path="${words[3]}" --config_path="${words[4]}" \
        --device_target="$target" ${device[@]+"${device[@]}"} ${settings[@]+"${settings[@]}"}
}

device_text() { [ "$1" = CPU ] || echo " [DEVICE_ID] (default 0)"; }
most_words() { if [ "$2" = CPU ]; then echo "$1"; else echo $(($1 + 1)); fi; }
choose_device() {
    need_number DEVICE_ID "$1"
    [ "$2" = CPU ] || device=(--device_id="$1")
}
