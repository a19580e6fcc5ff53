#!/usr/bin/env bash
# Starts a Slurm cluster of several nodes on this machine: one slurmctld, and one slurmd for each node.
#
#     start_slurm.sh FOLDER [NODES]     (stop_slurm.sh FOLDER ends it)
#
# Everything lies in FOLDER, which is made; commands of Slurm find the cluster by SLURM_CONF=FOLDER/slurm.conf. Each
# node has one CPU and 20,000 MB of memory. The daemons run as the user who calls, without cgroups and without a database.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
folder="$(mkdir -p "$1" && cd "$1" && pwd)"
nodes="${2:-3}"
host="$(hostname -s)"
# each step of a job has a socket there, NODE_JOB.STEP, and a socket's path may have 107 characters
longest="$folder/spool/node$nodes/node${nodes}_1000.4294967291"
if [ "${#longest}" -gt 107 ]; then
    echo "$folder: this path is too long for the sockets of Slurm's jobs; name a folder such as /tmp/slurm" >&2
    exit 1
fi
mkdir -p "$folder"/{state,spool,log,munge}
chmod 700 "$folder/munge"

free_ports() { # as many free TCP ports as are asked for
    python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.create_server(("", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))
PYTHON
}
read -r -a ports <<<"$(free_ports $((nodes + 1)))"

cat >"$folder/slurm.conf" <<CONF
ClusterName=small
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdSpoolDir=$folder/spool/%n
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmdLogFile=$folder/log/slurmd.%n.log
# a job that is put back into the queue waits until its former credential has expired: six seconds is the least
AuthInfo=socket=$folder/munge/socket,cred_expire=6
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=1,sched_interval=2
KillWait=10
ReturnToService=1
SlurmctldTimeout=30
SlurmdTimeout=60
CONF
for ((n = 1; n <= nodes; n++)); do
    echo "NodeName=node$n NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[$n]} CPUs=1 RealMemory=20000" >>"$folder/slurm.conf"
done
echo "PartitionName=all Nodes=ALL Default=YES MaxTime=60 DefaultTime=20 DefMemPerCPU=2000 State=UP" >>"$folder/slurm.conf"
export SLURM_CONF="$folder/slurm.conf"

head -c 1024 /dev/urandom >"$folder/munge/key"
chmod 600 "$folder/munge/key"
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
slurmctld -c
for ((n = 1; n <= nodes; n++)); do slurmd -c -N "node$n"; done

for _ in $(seq 100); do
    [ "$(sinfo --noheader --Node --format=%T 2>/dev/null | grep -c '^idle$')" -eq "$nodes" ] && exit 0
    sleep 0.2
done
echo "the nodes do not answer; see $folder/log" >&2
sinfo --Node >&2 || true
exit 1
