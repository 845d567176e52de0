#!/usr/bin/env bash
# Installs the official VOT toolkit, which tests drive this tracker with, into .cache/vot_toolkit.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  say "Usage: scripts/install_vot_toolkit.sh: installs vot-toolkit 0.9.0 into .cache/vot_toolkit"
  exit 0
fi
folder="$cache/vot_toolkit"
if [[ -x $folder/bin/vot && -e $folder/complete ]]; then
  say "    it is there"
  exit 0
fi
python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
rm -rf "$folder"
python3 -m venv "$folder"
# With a later attributee the toolkit cannot be loaded.
logged vot-toolkit "$folder/bin/pip" install --no-input --progress-bar off --retries 5 vot-toolkit==0.9.0 vot-trax==4.0.2 attributee==0.1.9 ||
  fail "cannot install vot-toolkit from PyPI: is there a network? (what pip said: $logs/vot-toolkit.log)"
touch "$folder/complete"
