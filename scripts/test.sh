#!/usr/bin/env bash
# Sets everything up, builds, and runs every test. Further arguments go to ctest: scripts/test.sh -L unit
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  say "Usage: scripts/test.sh [--preset release|debug|asan|tsan] [arguments for ctest]"
  exit 0
fi
preset=release
if [[ ${1:-} == --preset ]]; then
  preset="${2:?--preset: expected release, debug, asan or tsan}"
  shift 2
fi
start=$SECONDS
"$root/scripts/setup.sh" --preset "$preset"
install_browser() {
  (install_packages chromium-driver) || say "    without Chromium: the test of the page will be skipped"
}
step "Browser for tests" install_browser
install_toolkit() {
  ("$root/scripts/install_vot_toolkit.sh") || say "    without the VOT toolkit: the test with it will be skipped"
}
step "VOT toolkit for tests" install_toolkit
tests_start=$SECONDS
say "==> Tests"
status=0
cd "$root"
# The sanitizer presets choose the unit tests by themselves.
OMP_WAIT_POLICY=passive ctest --preset "$preset" --no-tests=error -j "$(nproc)" "$@" </dev/null || status=$?
say "    tests took $(elapsed "$tests_start"), everything $(elapsed "$start")"
if ((status == 0)); then say "All tests passed."; else say "Some tests failed (ctest status $status)."; fi
exit "$status"
