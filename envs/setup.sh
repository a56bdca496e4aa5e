#!/usr/bin/env bash
# envs/setup.sh FOLDER REQUIREMENTS [OPTION...]: a new virtual environment that imports this checkout, with
# the packages that a file pins. uv installs them where it is there (seconds), pip otherwise (minutes), by
# the same files and with the same OPTIONs. PYTHON names the interpreter. FOLDER/ready is written last, so
# that an environment without it was interrupted, and is made anew by the next call.
set -euo pipefail
folder=$1 requirements=$2
shift 2
python=${PYTHON:-python3.11}
trap 'echo "set-up interrupted; the same command does it again"; exit 130' INT TERM

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { echo "online-il needs Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }

named=$(grep -c '==' "$requirements")
echo "set-up of $folder: the $named packages of $requirements and what they need, at their pinned versions"
"$python" -m venv --clear "$folder"

# The value of one of pip's settings, from its variable or its files; nothing where it is not set.
pips() {
  local variable=PIP_$(tr a-z- A-Z_ <<<"$1")
  echo "${!variable:-$("$folder/bin/pip" config get "global.$1" 2>/dev/null || true)}"
}

# uv knows nothing of pip's settings, and where pip finds packages it should find them too.
with_uv() {
  local value
  value=$(pips index-url); [ -z "$value" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX-$value}"
  value=$(pips extra-index-url); [ -z "$value" ] || export UV_INDEX="${UV_INDEX-${value//[[:space:]]/ }}"
  value=$(pips find-links); [ -z "$value" ] || export UV_FIND_LINKS="${UV_FIND_LINKS-${value//[[:space:]]/,}}"
  value=$(pips cert); [ -z "$value" ] || export SSL_CERT_FILE="${SSL_CERT_FILE-$value}"
  # As pip takes the best version of all indexes.
  UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY-unsafe-best-match} \
    uv pip install --python "$folder/bin/python" "$@" -r "$requirements" 2>&1 | { grep --line-buffered -v '^ + ' || true; }
}

# Tells what pip finds. Not by awk: mawk reads a pipe to the end of a buffer before it says a word.
tell() {
  local line names found=0
  while IFS= read -r line; do
    case $line in
    "Collecting "*) found=$((found + 1)); [ $((found % 20)) != 0 ] || echo "  $found packages found" ;;
    "Installing collected packages: "*) read -ra names <<<"${line#*: }"; echo "  installing ${#names[@]} packages" ;;
    esac
  done
}

# pip is silent while it installs, which takes the longest: it is told how many packages are there.
with_pip() {
  while sleep 15 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    installed=$(find "$folder"/lib/*/site-packages -maxdepth 1 -name '*.dist-info' | wc -l)
    [ "$installed" -le 2 ] || echo "  $installed installed after $((SECONDS - begun)) s"
  done &
  local telling=$!
  "$folder/bin/pip" install --disable-pip-version-check --progress-bar off "$@" -r "$requirements" |
    tell || { kill "$telling" 2>/dev/null || true; return 1; }
  kill "$telling" 2>/dev/null || true
}

begun=$SECONDS
if command -v uv >/dev/null; then
  echo "uv installs them: some 10 seconds, and the time of downloading what it does not have yet"
  with_uv "$@" || {
    echo "uv could not (see above); pip tries"
    "$python" -m venv --clear "$folder"
    with_pip "$@"
  }
else
  echo "pip installs them: three to six minutes (with uv, https://docs.astral.sh/uv, it is seconds)"
  with_pip "$@"
fi
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$PWD/workflow" >"$site/online_il.pth"
touch "$folder/ready"
echo "set-up of $folder: done in $((SECONDS - begun)) s"
