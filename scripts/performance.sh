#!/usr/bin/env bash
# Makes the figures of docs/performance.md; they land in out/performance. Takes more than an hour on two cores, in which nothing else
# should compute. Needs the build folder that scripts/setup.sh makes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/performance.sh [--short] [--davis DIR] [PART...]
  --short        few frames, to see that all parts work
  --davis DIR    sequences in the layout of DAVIS: what the presets cost in masks
  PART           only these: baseline stages scaling presets agreement groups start long budgets gpu
The figures land in out/performance.
TEXT
}

is_short=false
davis=''
parts=()
while (($# > 0)); do
  case $1 in
    --short) is_short=true ;;
    --davis) davis="$(cd "${2:?--davis: expected a folder}" && pwd)" && shift ;;
    -h | --help) usage && exit 0 ;;
    baseline | stages | scaling | presets | agreement | groups | start | long | budgets | gpu) parts+=("$1") ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
[[ " ${parts[*]} " != *' agreement '* || -n $davis ]] || fail 'agreement: expected --davis DIR'
out="$root/out/performance"
mkdir -p "$out"

build() {
  logged performance-configure cmake -S "$root" -B "$root/build" -DHQTRACK_BENCH=ON ||
    fail "cannot configure the build: scripts/setup.sh makes it (what CMake said: $logs/performance-configure.log)"
  logged performance-build cmake --build "$root/build" --target hqtrack full_model_bench kernel_bench ||
    fail "cannot build (what the compiler said: $logs/performance-build.log)"
}

compare() { "$root/build/full_model_bench" "$root/configs" | tee "$out/baseline.md"; }

# bench NAME FRAMES arguments...: hqtrack bench on two threads
bench() {
  local name="$1" frames="$2"
  shift 2
  $is_short && frames=2
  "$root/build/hqtrack" bench --threads 2 --frames "$frames" --json "$out/$name.json" "$@" | tee "$out/$name.txt"
}

# figure NAME KEY: a number of the report
figure() { sed -n "s/^  \"$2\": \([0-9.]*\),*$/\1/p" "$out/$1.json"; }

# row TEXT NAME: of a table: milliseconds a frame (p50, p95), frames/s end to end, MiB
row() {
  printf '| %s | %.0f | %.0f | %.2f | %.0f |\n' "$1" "$(figure "$2" frame_ms_p50)" "$(figure "$2" frame_ms_p95)" \
    "$(figure "$2" frames_per_second)" "$(($(figure "$2" peak_resident_bytes) >> 20))"
}

head_of_rows() { printf '| %s | ms a frame, p50 | p95 | frames/s | peak MiB |\n|---|---|---|---|---|\n' "$1"; }

nano=(--config "$root/configs/nano.yaml")
full=(--config "$root/configs/hqtrack.yaml" --set refine=off)
vit_b=(--config "$root/configs/hqtrack.yaml" --set refiner.variant=vit_b)

# scaling MODEL FRAMES arguments...: by objects, and by picture size
scaling() {
  local model="$1" frames="$2" objects size
  shift 2
  for objects in 1 3 10 30; do bench "${model}_objects_$objects" "$frames" "$@" --objects "$objects"; done
  for size in 854x480 1280x720 1920x1080 3840x2160; do bench "${model}_$size" "$frames" "$@" --input "synthetic:$size"; done
  {
    head_of_rows "$model, 854x480, objects"
    for objects in 1 3 10 30; do row "$objects" "${model}_objects_$objects"; done
    printf '\n'
    head_of_rows "$model, 3 objects, size"
    for size in 854x480 1280x720 1920x1080 3840x2160; do row "$size" "${model}_$size"; done
  } | tee "$out/scaling_$model.md"
}

presets() {
  local preset
  for preset in exact balanced fast; do
    bench "nano_$preset" 100 "${nano[@]}" --preset "$preset"
    bench "full_$preset" 10 "${full[@]}" --preset "$preset"
    bench "vit_b_$preset" 3 "${vit_b[@]}" --preset "$preset"
  done
  for model in nano full vit_b; do
    head_of_rows "$model, --preset"
    for preset in exact balanced fast; do row "$preset" "${model}_$preset"; done
    printf '\n'
  done | tee "$out/presets.md"
}

# agreement TEXT NAME arguments...: scores of nano on --davis, and the same of its masks against those of the first call as truth
agreement() {
  local text="$1" name="$2" truth="$out/truth" size
  shift 2
  rm -rf "$out/masks_$name"
  "$root/build/hqtrack" eval davis --root "$davis" "${nano[@]}" "$@" --masks "$out/masks_$name" --json "$out/davis_$name.json"
  if [[ ! -e $truth ]]; then
    for size in 480p 1080p Full-Resolution ''; do [[ ! -d $davis/Annotations/$size ]] || break; done
    mkdir -p "$truth/Annotations"
    ln -s "$davis/JPEGImages" "$truth/JPEGImages"
    ln -sT "$out/masks_$name" "$truth/Annotations/$size"
  fi
  "$root/build/hqtrack" eval davis --root "$truth" --results "$out/masks_$name" --json "$out/as_$name.json"
  printf '| %s | %.5f | %.4f | %.4f | %.4f | %.4f |\n' "$text" "$(figure "as_$name" pixel_accuracy)" "$(figure "as_$name" j_mean)" \
    "$(figure "davis_$name" j_mean)" "$(figure "davis_$name" f_mean)" "$(figure "davis_$name" j_and_f)" | tee -a "$out/agreement.md"
}

agreements() {
  local long=(--preset exact --set tracker.memory.long_term_frames=12 --set tracker.memory.long_term_frames_8x=12)
  rm -rf "$out/truth"
  printf '| nano | pixels labelled as in the first row | IoU with its masks | J | F | J&F |\n|---|---|---|---|---|---|\n' | tee "$out/agreement.md"
  agreement exact exact --preset exact
  agreement balanced balanced --preset balanced
  agreement fast fast --preset fast
  agreement 'as configured: bf16, all cells one by one' plain
  agreement 'int8, all cells one by one' int8 --set tracker.precision=int8
  rm -rf "$out/truth"
  agreement 'exact, 12 frames in memory' long "${long[@]}"
  agreement 'the same in groups, exact_frames 1' long_1 "${long[@]}" --set tracker.propagation_8x.exact_frames=1
  agreement 'the same in groups, exact_frames 0.5' long_half "${long[@]}" --set tracker.propagation_8x.exact_frames=0.5
  agreement 'the same in bf16' long_bf16 "${long[@]}" --set tracker.precision=bf16
  agreement '12 frames, 3 at stride 8' long_3 "${long[@]}" --set tracker.memory.long_term_frames_8x=3
  agreement '12 frames, 1 at stride 8' long_one "${long[@]}" --set tracker.memory.long_term_frames_8x=1
  rm -rf "$out/truth"
  agreement 'refine: always' refined --set refine=always
  agreement 'refine: always, refiner.precision int8' refined_int8 --set refine=always --set refiner.precision=int8
  agreement 'refine: always, refiner.image_size 384' refined_384 --set refine=always --set refiner.image_size=384
  agreement 'refine: always, refiner.image_size 320' refined_320 --set refine=always --set refiner.image_size=320
}

# The embedded model on a small network input: what is asked is whether frame 20,000 costs more than frame 2,000.
long_video() {
  local frames=20000
  $is_short && frames=50
  "$root/build/hqtrack" bench --threads 2 --frames "$frames" --json "$out/long.json" "${nano[@]}" \
    --set tracker.preprocess.short_edge=97 --input synthetic:320x240 | tee "$out/long.txt"
  {
    printf '| frames | ms a frame, p50 | resident MiB |\n|---|---|---|\n'
    sed -n 's/.*"frame_ms_p50": \([0-9.]*\),*$/\1/p; s/.*"resident_bytes": \([0-9]*\),*$/\1/p' <(sed -n '/"tenths"/,/\]/p' "$out/long.json") |
      paste - - | awk -v step=$((frames / 10)) '{printf "| to %d | %.2f | %.0f |\n", NR * step, $1, $2 / 1048576}'
  } | tee "$out/long.md"
}

# The file that the rows of `budget` go to, with the head of its table.
budget_table="$out/budgets.md"
head_of_budgets() {
  budget_table="$1"
  printf '| run | budget, MiB | measured peak | expected peak | with |\n|---|---|---|---|---|\n' | tee "$budget_table"
}

# budget NAME FRAMES arguments...: the least memory budget that is possible, half as much again, and twice as much
budget() {
  local name="$1" frames="$2" least mib said peak=peak_resident_bytes
  shift 2
  [[ " $* " != *' --device cuda '* ]] || peak=peak_device_bytes
  $is_short && frames=2
  least=$({ "$root/build/hqtrack" bench --memory-budget 1 "$@" 2>&1 || true; } | sed -n 's/.*expected at least \([0-9]*\) MiB.*/\1/p')
  for mib in "$least" $((least * 3 / 2)) $((least * 2)); do
    "$root/build/hqtrack" bench --threads 2 --frames "$frames" --memory-budget "$mib" --json "$out/budget.json" "$@" 2>"$out/budget.txt" >/dev/null
    said=$(sed -n 's/^info: memory budget [0-9]* MiB: at most \([0-9]*\) MiB expected\(, with \)*/\1 | /p' "$out/budget.txt")
    printf '| %s | %d | %d | %s |\n' "$name" "$mib" "$(($(figure budget $peak) >> 20))" "$said" | tee -a "$budget_table"
  done
}

budgets() {
  head_of_budgets "$out/budgets.md"
  for objects in 1 10 30; do
    for size in 854x480 1920x1080; do
      budget "nano, $size, $objects objects" 5 "${nano[@]}" --objects "$objects" --input "synthetic:$size"
    done
  done
  budget "full, 1920x1080, 10 objects" 2 "${full[@]}" --objects 10 --input synthetic:1920x1080
  budget "full and ViT-B, 1920x1080, 10 objects" 2 "${vit_b[@]}" --objects 10 --input synthetic:1920x1080
}

# A picture for start-up: noise, as a BMP of 854x480.
picture() {
  le() { # VALUE BYTES: little endian
    local value="$1" i
    for ((i = 0; i < $2; i++)); do printf '%b' "\\x$(printf %02x $((value >> 8 * i & 255)))"; done
  }
  printf BM
  le 1230774 4 && le 0 4 && le 54 4
  le 40 4 && le 854 4 && le 480 4 && le 1 2 && le 24 2 && le 0 4 && le 1230720 4 && le 0 8 && le 0 8
  head -c 1230720 /dev/urandom
}

# Seconds from the start of the program to its end, for one picture: the middle one of five.
start_up() {
  local pictures="$out/start" what seconds
  rm -rf "$pictures"
  mkdir -p "$pictures"
  picture >"$pictures/0.bmp"
  "$root/build/hqtrack" track "$pictures" "${nano[@]}" --box 100,100,300,300 --masks "$pictures/masks" --quiet
  printf '| | seconds |\n|---|---|\n' | tee "$out/start.md"
  for what in --version mask box; do
    local arguments=(track "$pictures" "${nano[@]}" --masks "$out/start_masks" --overwrite --quiet)
    case $what in
      --version) arguments=(--version) ;;
      mask) arguments+=(--mask "$pictures/masks/00000.png") ;;
      box) arguments+=(--box '100,100,300,300') ;;
    esac
    seconds=$(for _ in 1 2 3 4 5; do
      TIMEFORMAT=%R
      { time "$root/build/hqtrack" "${arguments[@]}" >/dev/null 2>"$out/start.txt"; } 2>&1
    done | sort -n | sed -n 3p)
    printf '| %s | %s |\n' "$what" "$seconds" | tee -a "$out/start.md"
  done
}

# Long-term attention at stride 8 by frames in memory, on one thread.
groups() {
  local filter='grouped_attention<Precision::kFloat32>'
  $is_short && filter+='.*full:0/frames:(1|2)'
  OMP_NUM_THREADS=1 "$root/build/kernel_bench" --benchmark_filter="$filter" --benchmark_format=csv 2>/dev/null |
    sed -n 's/^"grouped_attention<[^/]*\/full:\([01]\)\/frames:\([0-9]*\)\/exact:\([0-9]*\)\/real_time",[0-9]*,[^,]*,\([0-9.]*\),.*/\1 \2 \3 \4/p' |
    awk '{model = $1 ? "full" : "nano"; exact = $3 == 0 ? "all cells" : "exact_frames " $3 / 1000
          printf "| %s, %d frames in memory, %s | %.1f |\n", model, $2, exact, $4}' |
    cat <(printf '| long-term attention at stride 8 | ms of CPU |\n|---|---|\n') - | tee "$out/groups.md"
}

stages() {
  bench nano 200 "${nano[@]}"
  local objects
  for objects in 1 2 3; do
    bench "nano_refined_$objects" 60 "${nano[@]}" --set refine=always --objects "$objects"
  done
  {
    head_of_rows 'nano, refine: always, objects'
    for objects in 1 2 3; do row "$objects" "nano_refined_$objects"; done
  } | tee "$out/refined.md"
  bench full 20 "${full[@]}"
  bench full_vit_b 3 "${vit_b[@]}"
}

scales() {
  scaling nano 50 "${nano[@]}"
  scaling full 5 "${full[@]}"
}

# gpu_row TEXT NAME: frames/s, milliseconds a frame with nothing side by side, MiB on the GPU
gpu_row() {
  printf '| %s | %.1f | %.1f | %.0f |\n' "$1" "$(figure "$2" frames_per_second)" "$(figure "$2" frame_ms_p50)" \
    "$(($(figure "$2" peak_device_bytes) >> 20))"
}

# The full model and its parts beside the baseline; then the program itself.
gpu() {
  local name precision variant fp16=(--set tracker.precision=fp16 --set refiner.precision=fp16)
  name=$("$root/build/hqtrack" info | sed -n 's/^cuda:0 *//p')
  if [[ -z $name ]]; then
    say "    skipped: no GPU"
    return
  fi
  "$root/build/full_model_bench" "$root/configs" cuda | tee "$out/gpu_baseline.md"
  bench gpu_nano 1000 --device cuda "${nano[@]}"
  for precision in fp32 fp16; do
    bench "gpu_full_$precision" 300 --device cuda "${full[@]}" --set "tracker.precision=$precision"
  done
  bench gpu_vit_tiny 300 --device cuda --config "$root/configs/hqtrack_light.yaml" "${fp16[@]}"
  for variant in vit_b vit_h; do
    bench "gpu_$variant" 100 --device cuda --config "$root/configs/hqtrack.yaml" --set "refiner.variant=$variant" "${fp16[@]}"
  done
  bench gpu_large 60 --device cuda --config "$root/configs/hqtrack.yaml" "${fp16[@]}" --objects 10 --input synthetic:1920x1080
  {
    printf '| %s | frames/s | ms a frame, p50 | peak MiB on the GPU |\n|---|---|---|---|\n' "$name"
    gpu_row 'nano' gpu_nano
    gpu_row 'full' gpu_full_fp32
    gpu_row 'full, fp16' gpu_full_fp16
    gpu_row 'full and TinyViT, fp16' gpu_vit_tiny
    gpu_row 'full and ViT-B, fp16' gpu_vit_b
    gpu_row 'full and ViT-H, fp16' gpu_vit_h
    gpu_row 'full and ViT-H, fp16, 1920x1080, 10 objects' gpu_large
  } | tee "$out/gpu.md"
  head_of_budgets "$out/gpu_budgets.md"
  budget 'full and ViT-H on a GPU, 1920x1080, 10 objects' 10 --device cuda --config "$root/configs/hqtrack.yaml" "${fp16[@]}" \
    --objects 10 --input synthetic:1920x1080
}

# part NAME command...: where NAME was asked for, or nothing in particular
part() {
  local name="$1"
  shift
  if ((${#parts[@]} == 0)) || [[ " ${parts[*]} " == *" $name "* ]]; then step "$name" "$@"; fi
}

step "build" build
$is_short || part baseline compare
part stages stages
part scaling scales
part presets presets
[[ -z $davis ]] || part agreement agreements
part groups groups
part start start_up
part long long_video
part budgets budgets
part gpu gpu
