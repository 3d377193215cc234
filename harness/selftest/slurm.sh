#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A search as an array job of a Slurm that has one node, this machine: slurm.sh VMASSAY CAMPAIGN
#
# Slurm is started from Debian's packages slurmctld, slurmd, slurm-client and munge, with all of its state in a scratch folder
# and ports of its own, as root. Exit code 77: they are not installed.
set -eu

export VMASSAY="$(realpath "$1")"
campaign=$(realpath "$2")
for program in slurmctld slurmd sbatch munged setpriv; do
	command -v $program >/dev/null || { echo "slurm.sh: there is no $program"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "slurm.sh: slurmd must be root"; exit 77; }

scratch=$(mktemp -d /tmp/vmassay-slurm.XXXXXX)
node=$(uname -n | cut -d. -f1)
stop()
{
	for pid in "$scratch"/run/*.pid; do
		[ ! -f "$pid" ] || kill "$(cat "$pid")" 2>/dev/null || :
	done
	sleep 1
	rm -rf "$scratch"
}
trap stop EXIT

fail()
{
	echo "slurm.sh: $*" >&2
	cat "$scratch"/shared/*.log "$scratch"/log/* >&2 || :
	exit 1
}

# Seconds until a command succeeds, at most $1.
wait_for()
{
	left=$1
	shift
	while ! "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 1
	done
}

chmod 755 "$scratch"
mkdir "$scratch/run" "$scratch/state" "$scratch/spool" "$scratch/log" "$scratch/shared"
dd if=/dev/urandom of="$scratch/munge.key" bs=1 count=1024 2>/dev/null
chmod 400 "$scratch/munge.key"
chown munge "$scratch/munge.key" "$scratch/run"
cat >"$scratch/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$scratch/run/munge.socket
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/run/slurmctld.pid
SlurmdPidFile=$scratch/run/slurmd.pid
SlurmctldLogFile=$scratch/log/slurmctld.log
SlurmdLogFile=$scratch/log/slurmd.log
SlurmctldPort=17817
SlurmdPort=17818
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
NodeName=$node CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$scratch/slurm.conf"
setpriv --reuid=munge --regid=munge --clear-groups munged --force --key-file="$scratch/munge.key" \
	--socket="$scratch/run/munge.socket" --pid-file="$scratch/run/munge.pid" --log-file="$scratch/run/munge.log" \
	--seed-file="$scratch/run/munge.seed" || fail 'munged does not start'
slurmctld || fail 'slurmctld does not start'
slurmd || fail 'slurmd does not start'
wait_for 30 sh -c 'sinfo -h -o %T | grep -q idle' || fail 'the node does not become idle'

"$campaign" submit 2 "$scratch/shared" --time 0 --count 2000 >"$scratch/shared/jobs.log" || fail 'it cannot be submitted'
wait_for 120 sh -c '[ -z "$(squeue -h)" ]' || fail 'the jobs do not end'
grep -hq 'features, 0 break an oracle' "$scratch"/shared/slurm-merge-*.log || fail 'nothing was merged'
for task in 0 1; do
	ls "$scratch/shared/task-$task/corpus" | grep -q '\.input$' || fail "task $task has kept nothing"
done
merged=$(ls "$scratch/shared/corpus" | wc -l)
both=$(cat "$scratch"/shared/task-*/corpus/*.input | wc -l)
[ "$merged" -gt 50 ] && [ "$merged" -lt "$both" ] || fail "$merged merged of $both"
echo "slurm.sh: $merged inputs from two tasks"
