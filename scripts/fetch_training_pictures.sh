#!/usr/bin/env bash
# Fetches the still pictures that `hqtrack train` makes its clips and stills of: Debian packages (about 540 MB), unpacked into a
# folder, not installed. Usage: scripts/fetch_training_pictures.sh DIR
# May be run again: packages that are there are passed over.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Licences: docs/training.md. Two of them are the sources of cut-outs, the others of photographs.
packages=(tuxpaint-stamps-default openclipart-png
  gcompris-qt-data plasma-workspace-wallpapers mate-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04
  gnome-backgrounds)

if [[ ${1:-} == -h || ${1:-} == --help || $# != 1 ]]; then
  say "Usage: scripts/fetch_training_pictures.sh DIR   (downloads 540 MB, 660 MB on disk; nothing is installed)"
  [[ ${1:-} == -h || ${1:-} == --help ]] && exit 0
  exit 2
fi
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || fail "$tool is not there: on another system fill $1 with pictures of your own (docs/training.md)"
done
mkdir -p "$1"
folder="$(cd "$1" && pwd)"

update_lists() {
  [[ -n $(apt-cache policy "${packages[0]}" 2>/dev/null) ]] && return
  logged apt-update apt_get update || fail "apt-get update failed: is there a network? (what it said: $logs/apt-update.log)"
}

# fetch PACKAGE: unpacked beside its place first, so that what is there is always whole
fetch() {
  local partial="$folder/.partial.$1"
  rm -rf "$partial"
  mkdir -p "$partial/files"
  cd "$partial"
  logged "download-$1" apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$1" ||
    fail "cannot download the package $1: is there a network? (what apt said: $logs/download-$1.log)"
  dpkg-deb -x "$1"_*.deb files
  cd "$folder"
  mv "$partial/files" "$folder/$1"
  rm -rf "$partial"
}

start=$SECONDS
for package in "${packages[@]}"; do
  if [[ -d $folder/$package ]]; then
    say "==> $package is there"
  else
    update_lists
    step "$package" fetch "$package"
  fi
done
say "The pictures are in $folder ($(elapsed "$start")). Now, for example:"
say "  build/hqtrack train vmos --config configs/nano.yaml --pictures $folder --init models/nano.safetensors --out out/train"
