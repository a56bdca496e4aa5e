#!/bin/sh
# Installs Debian's Chromium where it is missing; `make test-browser` runs it first.
set -eu
[ -x /usr/bin/chromium ] && exit 0

if ! command -v apt-get > /dev/null; then
  echo "make test-browser needs /usr/bin/chromium; there is no apt-get here: install it by hand" >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  root=""
elif sudo -n true 2> /dev/null; then
  root="sudo"
else
  echo "make test-browser needs /usr/bin/chromium; ask for: apt-get install chromium" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
$root apt-get install -qq --yes --no-install-recommends chromium > /dev/null
