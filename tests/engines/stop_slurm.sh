#!/usr/bin/env bash
# Ends the cluster that start_slurm.sh started in FOLDER, with the jobs that run there: stop_slurm.sh FOLDER
set -uo pipefail
folder="$(cd "$1" && pwd)"
export SLURM_CONF="$folder/slurm.conf"
scancel --me --full --signal=KILL 2>/dev/null
scancel --me 2>/dev/null
for _ in $(seq 50); do
    [ -z "$(squeue --noheader 2>/dev/null)" ] && break
    sleep 0.2
done
for file in "$folder"/slurmd.*.pid "$folder/slurmctld.pid" "$folder/munge/pid"; do
    [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null
done
exit 0
