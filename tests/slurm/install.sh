#!/bin/sh
# Installs Debian's Slurm where it is missing; `make test-slurm` runs it first.
set -eu
PATH="$PATH:/usr/sbin:/sbin"

missing=""
for program in slurmctld slurmd sbatch srun squeue scontrol scancel munged setpriv; do
  command -v "$program" > /dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

packages="slurmctld slurmd slurm-client munge util-linux"
if ! command -v apt-get > /dev/null; then
  echo "make test-slurm needs$missing; there is no apt-get here: install Slurm and munge by hand" >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  root=""
elif sudo -n true 2> /dev/null; then
  root="sudo"
else
  echo "make test-slurm needs$missing; ask for: apt-get install $packages" >&2
  exit 1
fi

# RUNLEVEL: the packages' own services do not start, the tests bring daemons of their own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
$root apt-get update -qq
# shellcheck disable=SC2086
$root apt-get install -qq --yes --no-install-recommends $packages > /dev/null
