# shellcheck shell=bash
# Shared by the scripts beside it; sourced, not run. What a script does is printed as one line a step, with the time it took.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="$root/.cache"
logs="$cache/logs"

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# elapsed START: "4 s" or "3 min 20 s" since $SECONDS was START
elapsed() {
  local seconds=$((SECONDS - $1))
  if ((seconds < 60)); then echo "$seconds s"; else echo "$((seconds / 60)) min $((seconds % 60)) s"; fi
}

# step "what" command...: runs the command, then says how long it took; ends the script when the command fails
step() {
  local what="$1" start=$SECONDS status=0
  shift
  say "==> $what"
  # In a subshell of its own, because "set -e" is off inside a command that is tested by "||".
  set +e
  (
    set -e
    "$@"
  )
  status=$?
  set -e
  ((status == 0)) || exit "$status"
  say "    done in $(elapsed "$start")"
}

# logged NAME command...: its output goes to .cache/logs/NAME.log
logged() {
  local log="$logs/$1.log"
  shift
  mkdir -p "$logs"
  "$@" >"$log" 2>&1 </dev/null
}

# as_root command...: directly, or through sudo
as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif [[ -r /dev/tty && -t 2 ]]; then
    sudo "$@" # may ask for the password on the terminal
  else
    sudo -n "$@"
  fi
}

can_be_root() { [[ $(id -u) == 0 ]] || command -v sudo >/dev/null; }

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }

# missing_packages NAME...: those that are not installed
missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qx "installed $package" <<<"$installed" || echo "$package"
  done
}

# install_packages NAME...: installs what is missing; no network is touched when nothing is
install_packages() {
  local missing
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "this script installs with apt-get (Debian 12 or later). On another system install what these Debian packages" \
      "hold, then build with CMake as the README says: $*"
  fi
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then
    say "    all $# packages are there"
    return
  fi
  can_be_root || fail "neither root nor sudo: ask an administrator to run: apt-get install ${missing[*]}"
  say "    installing ${#missing[@]} of $# packages: ${missing[*]}"
  logged apt-update apt_get update || fail "apt-get update failed: is there a network? (what it said: $logs/apt-update.log)"
  logged apt-install apt_get install -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get install failed: is there a network, and room on the disk? (what it said: $logs/apt-install.log)"
}
