#!/usr/bin/env bash
# Trains on several GPUs of this machine, a process each. OpenMPI is not needed.
set -euo pipefail
# shellcheck source=scripts/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
read_arguments "run_distribute_gpu_train.sh DATASET CONFIG_PATH DEVICE_NUM CUDA_VISIBLE_DEVICES

  DATASET       folder of ID_sat.jpg and ID_mask.png
  CONFIG_PATH   settings, for instance dlinknet_config.yaml
  DEVICE_NUM    how many GPUs
  CUDA_VISIBLE_DEVICES   which, for instance 0,1,2,3
Logs are ./LOG[i]/log.log, checkpoints go to ./LOG0/output." 4 4 "$OWNED device_target" "$@"
need_folder DATASET "${words[0]}"
need_file CONFIG_PATH "${words[1]}"
need_count DEVICE_NUM "${words[2]}"
IFS=, read -r -a named <<<"${words[3]}"
[ ${#named[@]} -ge "${words[2]}" ] ||
    fail "CUDA_VISIBLE_DEVICES names ${#named[@]} GPUs (${words[3]}), DEVICE_NUM is ${words[2]}"
choose_python
export CUDA_VISIBLE_DEVICES=${words[3]}
many_train "${words[0]}" "${words[1]}"
local_cluster "${words[2]}"
run_many GPU "${#starts[@]}"
