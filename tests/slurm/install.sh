#!/bin/sh
# Installs Debian's Slurm where it is missing; `make test-slurm` runs it first.
set -eu
PATH="$PATH:/usr/sbin:/sbin"

missing=""
for program in slurmctld slurmd sbatch srun squeue scontrol scancel munged setpriv; do
  command -v "$program" > /dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

# RUNLEVEL: the packages' own services do not start, the tests bring daemons of their own.
export RUNLEVEL=1
exec sh tests/install.sh test-slurm "${missing# }" slurmctld slurmd slurm-client munge util-linux
