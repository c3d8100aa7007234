#!/usr/bin/env bash
# Trains in several processes on one or several machines without a rank table, started by MindSpore's msrun.
set -euo pipefail
# shellcheck source=scripts/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
read_arguments "run_distribute_msrun_train.sh DATASET CONFIG_PATH [WORKER_NUM [LOCAL_WORKER_NUM MASTER_ADDR MASTER_PORT NODE_RANK]]

  DATASET       folder of ID_sat.jpg and ID_mask.png
  CONFIG_PATH   settings, for instance dlinknet_config.yaml
  WORKER_NUM    how many processes on all machines; in a ModelArts container all of these may be left out
On several machines, call it on each with
  LOCAL_WORKER_NUM  how many processes of them on this machine
  MASTER_ADDR   address of the machine with rank 0, the same on all
  MASTER_PORT   a free port there, the same on all
  NODE_RANK     which machine this is: 0, 1, ...
Logs are ./LOG[i]/log.log, checkpoints go to ./LOG0/output on the machine with rank 0." 2 7 "$OWNED" "$@"
if [ ${#words[@]} = 2 ]; then           # what a ModelArts container says of its job
    [ -n "${MA_NUM_GPUS-}" ] || fail "WORKER_NUM is missing, and no ModelArts job says it (MA_NUM_GPUS)"
    need_count MA_NUM_GPUS "$MA_NUM_GPUS"
    need_count MA_NUM_HOSTS "${MA_NUM_HOSTS:=1}"
    master=${VC_WORKER_HOSTS:-127.0.0.1}
    words+=($((MA_NUM_HOSTS * MA_NUM_GPUS)) "$MA_NUM_GPUS" "${master%%,*}" 8118 "${VC_TASK_INDEX:-0}")
fi
[ ${#words[@]} = 3 ] || [ ${#words[@]} = 7 ] || fail "LOCAL_WORKER_NUM, MASTER_ADDR, MASTER_PORT and NODE_RANK go together"
need_folder DATASET "${words[0]}"
need_file CONFIG_PATH "${words[1]}"
need_count WORKER_NUM "${words[2]}"
here=${words[3]-${words[2]}}
need_count LOCAL_WORKER_NUM "$here"
node=${words[6]-0}
need_number NODE_RANK "$node"
total=$((10#${words[2]})) here=$((10#$here)) node=$((10#$node))
[ $(((node + 1) * here)) -le $total ] ||
    fail "LOCAL_WORKER_NUM=$here and NODE_RANK=$node go beyond WORKER_NUM=$total: ranks count from 0 to $((total - 1))"
choose_python
msrun=$(dirname "$PYTHON")/msrun
[ -x "$msrun" ] || msrun=$(command -v msrun) || fail "there is no msrun beside $PYTHON: it comes with MindSpore 2.3 and later"
port=${words[5]-$(free_port)}
need_count MASTER_PORT "$port"
[ "$node" != 0 ] || is_free "$port" || fail "MASTER_PORT: port $port of this machine cannot be used; somebody listens there, or it is no port"
many_train "${words[0]}" "${words[1]}"
run_msrun "$msrun" "$total" "$here" "$((node * here))" --worker_num="$total" --local_worker_num="$here" \
    --master_addr="${words[4]-127.0.0.1}" --master_port="$port" --node_rank="$node" --join=True
