#!/bin/sh
# Installs Debian's packages for a target of the Makefile: install.sh TARGET WHAT-IS-MISSING PACKAGE...
set -eu
target="$1" missing="$2"
shift 2

if ! command -v apt-get > /dev/null; then
  echo "make $target needs $missing; there is no apt-get here: install by hand what has it" >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  root=""
elif sudo -n true 2> /dev/null; then
  root="sudo"
else
  echo "make $target needs $missing; ask for: apt-get install $*" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
$root apt-get install -qq --yes --no-install-recommends "$@" > /dev/null
