#!/usr/bin/env bash
# Sets everything up, builds the program, fetches two real clips and tracks an object through each.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if (($# > 0)); then
  say "Usage: scripts/demo.sh   (no arguments; results land in out/demo)"
  [[ $1 == -h || $1 == --help ]] && exit 0
  exit 2
fi

clips="$cache/clips"
out="$root/out/demo"

# Both clips come with Debian's opencv-doc (Apache-2.0 and BSD-3-Clause). Only these two files are unpacked.
fetch_clips() {
  local folder name
  if [[ -s $clips/box.mp4 && -s $clips/cup.mp4 ]]; then
    say "    they are in ${clips#"$root"/}"
    return
  fi
  command -v apt-get >/dev/null ||
    fail "the clips come with the Debian package opencv-doc: put its box.mp4 and cup.mp4 in $clips"
  mkdir -p "$clips"
  folder=$(mktemp -d "$clips/partial.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now is meant
  trap "rm -rf '$folder'" EXIT
  if [[ -z $(apt-cache policy opencv-doc 2>/dev/null) ]]; then
    logged apt-update apt_get update || fail "apt-get update failed: is there a network? (what it said: $logs/apt-update.log)"
  fi
  say "    downloading the package opencv-doc (96 MB)"
  cd "$folder"
  logged clip-download apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download opencv-doc ||
    fail "cannot download the package opencv-doc: is there a network? (what apt said: $logs/clip-download.log)"
  dpkg-deb --fsys-tarfile opencv-doc_*.deb |
    tar -x --wildcards --transform='s,.*/,,' '*/html/box.mp4.gz' '*/html/cup.mp4.gz'
  for name in box cup; do
    gunzip "$name.mp4.gz"
    mv "$name.mp4" "$clips"
  done
}

# check_clip NAME SHA256: the first-frame masks were drawn for exactly these files
check_clip() {
  sha256sum --status -c - <<<"$2  $clips/$1.mp4" ||
    say "    note: $1.mp4 of this opencv-doc is not the one its mask was drawn for; the mask may not fit"
}

# track NAME: the clip with its mask; everything lands in out/demo/NAME
track() {
  "$root/build/hqtrack" track "$clips/$1.mp4" -o "$out/$1/overlay.mp4" --mask "$root/tests/data/demo/$1_mask.png" --name "1=$1" \
    --masks "$out/$1/masks" --events "$out/$1/events.ndjson" --overwrite
}

start=$SECONDS
"$root/scripts/setup.sh" --target hqtrack
step "Clips" fetch_clips
check_clip box 62b744b99403f899707c43398a3822441add6160379ab6dd6c12bde9e3075f8d
check_clip cup 37db9cee98f70b1458985a15ad2e5b0183e90e24c281b534afcf812e5986154f
mkdir -p "$out/box" "$out/cup"
step "Track the box (455 frames, given its outline in the first)" track box
step "Track the cup (217 frames)" track cup
say "The demo took $(elapsed "$start"). Look at:"
for name in box cup; do
  say "  video   $out/$name/overlay.mp4"
  say "  masks   $out/$name/masks/"
  say "  events  $out/$name/events.ndjson"
done
