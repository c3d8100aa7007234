#!/usr/bin/env bash
# Trains on the Ascends that a rank table names, a process each.
set -euo pipefail
# shellcheck source=scripts/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
read_arguments "run_distribute_ascend_train.sh RANK_TABLE_FILE DATASET CONFIG_PATH

  RANK_TABLE_FILE  which rank is which Ascend; python -m dlinknet rank-table --devices=all --rank_table=FILE makes one of a server
  DATASET       folder of ID_sat.jpg and ID_mask.png
  CONFIG_PATH   settings, for instance dlinknet_config.yaml
Logs are ./LOG[i]/log.log, checkpoints go to ./LOG0/output. A table of several servers: call this on each of them." 3 3 "$OWNED device_target" "$@"
[ -e "${words[0]}" ] || fail "RANK_TABLE_FILE: there is no file ${words[0]}"
need_folder DATASET "${words[1]}"
need_file CONFIG_PATH "${words[2]}"
choose_python
case ${words[0]} in
    /*) table=${words[0]} ;;
    *) table=$PWD/${words[0]} ;;
esac
places=$("$PYTHON" -m dlinknet rank-table --rank_table="$table") || exit
while read -r _ rank _ size _ _ device; do
    starts[rank]="RANK_ID=$rank RANK_SIZE=$size DEVICE_ID=$device"
done <<<"$places"
many_train "${words[1]}" "${words[2]}"
run_many Ascend "$size"
