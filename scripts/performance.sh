#!/usr/bin/env bash
# Makes the figures of docs/performance.md; they land in out/performance. Takes about half an hour, in which nothing else should
# compute. Needs the build folder that scripts/setup.sh makes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if (($# > 0)); then
  say "Usage: scripts/performance.sh   (no arguments; figures land in out/performance)"
  [[ $1 == -h || $1 == --help ]] && exit 0
  exit 2
fi
out="$root/out/performance"
mkdir -p "$out"

build() {
  logged performance-configure cmake -S "$root" -B "$root/build" -DHQTRACK_BENCH=ON ||
    fail "cannot configure the build: scripts/setup.sh makes it (what CMake said: $logs/performance-configure.log)"
  logged performance-build cmake --build "$root/build" --target hqtrack full_model_bench ||
    fail "cannot build (what the compiler said: $logs/performance-build.log)"
}

# Threads that wait must not count as CPU time.
compare() { OMP_WAIT_POLICY=passive "$root/build/full_model_bench" "$root/configs" | tee "$out/baseline.md"; }

# bench NAME arguments...: hqtrack bench on two threads
bench() {
  local name="$1"
  shift
  "$root/build/hqtrack" bench --threads 2 --json "$out/$name.json" "$@" | tee "$out/$name.txt"
}

nano=(--config "$root/configs/nano.yaml")
full=(--config "$root/configs/hqtrack.yaml" --set refine=off)

step "Build" build
step "Beside the published formulation" compare
step "nano" bench nano "${nano[@]}" --frames 200
step "full, without a refiner" bench full "${full[@]}" --frames 20
step "full, ViT-B refiner" bench full_vit_b --config "$root/configs/hqtrack.yaml" --set refiner.variant=vit_b --frames 5
for objects in 1 3 10 30; do
  step "nano, $objects objects" bench "nano_objects_$objects" "${nano[@]}" --objects "$objects" --frames 50
  step "full, $objects objects" bench "full_objects_$objects" "${full[@]}" --objects "$objects" --frames 5
done
for size in 854x480 1280x720 1920x1080 3840x2160; do
  step "nano, $size" bench "nano_$size" "${nano[@]}" --input "synthetic:$size" --frames 50
  step "full, $size" bench "full_$size" "${full[@]}" --input "synthetic:$size" --frames 5
done
