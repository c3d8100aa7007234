#!/usr/bin/env bash
# Trains on the CPU in several processes: the way to try what a training on many devices does.
set -euo pipefail
# shellcheck source=scripts/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
read_arguments "run_distribute_cpu_train.sh DATASET CONFIG_PATH WORKER_NUM

  DATASET       folder of ID_sat.jpg and ID_mask.png
  CONFIG_PATH   settings, for instance dlinknet_config.yaml
  WORKER_NUM    how many processes
Logs are ./LOG[i]/log.log, checkpoints go to ./LOG0/output." 3 3 "$OWNED device_target" "$@"
need_folder DATASET "${words[0]}"
need_file CONFIG_PATH "${words[1]}"
need_count WORKER_NUM "${words[2]}"
choose_python
many_train "${words[0]}" "${words[1]}"
local_cluster "${words[2]}"
run_many CPU "${#starts[@]}"
