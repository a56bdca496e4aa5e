#!/bin/sh
# Installs Debian's Chromium where it is missing; `make test-browser` runs it first.
set -eu
[ -x /usr/bin/chromium ] || exec sh tests/install.sh test-browser /usr/bin/chromium chromium
