#!/usr/bin/env bash
# Installs what hqtrack needs, then configures and builds it. Run it as often as you like: what is there is kept.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
Usage: scripts/setup.sh [--preset release|debug|asan|tsan] [--target NAME] [--no-build] [-- CMAKE-OPTION...]

  --preset NAME   build preset, default release (in build/; the others in build-NAME/)
  --target NAME   builds only this target, for example hqtrack
  --no-build      installs the dependencies and stops
  CMAKE-OPTION    for the configure step, for example -DHQTRACK_CUDA=OFF

A LibTorch of your own (2.11 or later) is used instead of the download when LIBTORCH_ROOT or an entry of
CMAKE_PREFIX_PATH names its folder.
TEXT
}

packages=(
  # tools
  cmake ninja-build g++ ccache pkg-config git ca-certificates unzip
  # libraries
  libopencv-core-dev libopencv-imgproc-dev
  libavformat-dev libavcodec-dev libavutil-dev libavfilter-dev libavdevice-dev libswscale-dev libswresample-dev
  libyaml-cpp-dev libboost-dev libboost-program-options-dev libspdlog-dev nlohmann-json3-dev libcpp-httplib-dev libzip-dev
  # tests and benchmarks
  libgtest-dev libgmock-dev libbenchmark-dev
  libgstrtspserver-1.0-dev gstreamer1.0-plugins-good
)

third_party="$root/third_party"
libtorch="$third_party/libtorch"
downloads="$third_party/downloads"

# The user's own LibTorch, if one is named; empty otherwise.
own_libtorch() {
  local entry
  local -a prefixes=()
  if [[ -n ${LIBTORCH_ROOT:-} ]]; then
    [[ -e $LIBTORCH_ROOT/include/ATen/ATen.h ]] ||
      fail "LIBTORCH_ROOT=$LIBTORCH_ROOT: expected include/ATen/ATen.h in that folder, found none"
    echo "$LIBTORCH_ROOT"
    return
  fi
  IFS=: read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for entry in "${prefixes[@]}"; do
    if [[ -e $entry/include/ATen/ATen.h ]]; then
      echo "$entry"
      return
    fi
  done
}

find_nvcc() { command -v nvcc || { [[ -x /usr/local/cuda/bin/nvcc ]] && echo /usr/local/cuda/bin/nvcc; } || true; }

# The text that says which wheels an installed LibTorch was made of.
libtorch_pins() { grep -hv '^#' "$@" | sort; }

# has_hash FILE REQUIREMENTS...: whether the file is one of the pinned wheels, complete
has_hash() {
  local file="$1" hash
  shift
  hash=$(sha256sum "$file" | cut -d' ' -f1)
  grep -hq "sha256:$hash" "$@"
}

# Leaves every pinned wheel of the requirement files in $downloads. A wheel gets its final name only when complete.
download_wheels() {
  local wheel folder requirements line name
  local -a wanted=()
  mkdir -p "$downloads"
  for wheel in "$downloads"/*.whl; do # a wheel fetched before is not fetched again
    [[ -e $wheel ]] && has_hash "$wheel" "$@" && wanted+=("$(basename "$wheel")")
  done
  folder=$(mktemp -d "$downloads/partial.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now is meant
  trap "rm -rf '$folder'" EXIT
  requirements="$folder/requirements.txt"
  while read -r line; do
    name=${line%%==*}
    [[ " ${wanted[*]}" == *" ${name//-/_}-"* ]] || echo "$line"
  done < <(libtorch_pins "$@") >"$requirements"
  [[ -s $requirements ]] || return 0
  if ! python3 -m pip --version >/dev/null 2>&1; then
    install_packages python3-pip
  fi
  say "    downloading $(sed 's/ .*//' "$requirements" | paste -sd' ')"
  # The platform is named, so that every Python fetches the same files.
  logged pip-download python3 -m pip download --no-input --progress-bar off --retries 5 --no-deps --require-hashes \
    --only-binary=:all: --implementation cp --python-version 311 --abi cp311 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 -d "$folder" -r "$requirements" ||
    fail "cannot download LibTorch from PyPI: is there a network? (what pip said: $logs/pip-download.log;" \
      "a LibTorch of your own: set LIBTORCH_ROOT)"
  mv "$folder"/*.whl "$downloads"
}

# Unpacks the C++ part of the wheels to third_party/libtorch, which appears only when complete.
unpack_wheels() {
  local folder wheel
  folder=$(mktemp -d "$third_party/partial.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$folder'" EXIT
  chmod 755 "$folder"
  say "    unpacking to third_party/libtorch"
  for wheel in "$downloads"/*.whl; do
    has_hash "$wheel" "$@" || continue
    case "$(basename "$wheel")" in
      torch-*)
        unzip -q "$wheel" 'torch/include/*' 'torch/lib/*' 'torch/share/*' -x 'torch/lib/libtorch_python.so' -d "$folder" ;;
      nvidia_nvshmem*) unzip -q -j "$wheel" '*/libnvshmem_host.so.*' -d "$folder/cuda" ;;
      nvidia_cuda_runtime*) unzip -q -j "$wheel" '*/libcudart.so.*' -d "$folder/cuda" ;;
      nvidia_cuda_cupti*) unzip -q -j "$wheel" '*/libcupti.so.*' -d "$folder/cuda" ;;
      *) unzip -q -j "$wheel" '*.so.*' -d "$folder/cuda" ;;
    esac
  done
  mv "$folder"/cuda/* "$folder/torch/lib" # its run path looks beside itself
  libtorch_pins "$@" >"$folder/torch/PINS"
  rm -rf "$libtorch"
  mv "$folder/torch" "$libtorch"
  for wheel in "$downloads"/*.whl; do
    if has_hash "$wheel" "$@"; then rm "$wheel"; fi
  done
}

install_libtorch() {
  local own
  own=$(own_libtorch)
  if [[ -n $own ]]; then
    say "    using the one in $own"
    return
  fi
  local -a requirements=("$root/scripts/libtorch_requirements.txt")
  if [[ -n $(find_nvcc) ]]; then
    requirements+=("$root/scripts/libtorch_cuda_requirements.txt")
  fi
  if [[ -e $libtorch/PINS && "$(<"$libtorch/PINS")" == "$(libtorch_pins "${requirements[@]}")" ]]; then
    say "    third_party/libtorch is there"
    return
  fi
  [[ $(uname -sm) == "Linux x86_64" ]] ||
    fail "the pinned LibTorch is for Linux x86_64, this is $(uname -sm): set LIBTORCH_ROOT to a LibTorch of your own"
  rm -rf "$third_party"/partial.* "$downloads"/partial.* # left by an interrupted run
  (download_wheels "${requirements[@]}")
  (unpack_wheels "${requirements[@]}")
}

# What keeps libtorch_cuda.so from loading here, for example "libcudnn.so.9"; empty when nothing does.
missing_cuda_libraries() { ldd "$1/lib/libtorch_cuda.so" 2>/dev/null | awk '/not found/ {print $1}' | sort -u | paste -sd' '; }

configure() {
  local own nvcc missing
  local -a options=(--preset "$preset" -U 'LibTorch_*' -U LIBTORCH_ROOT)
  own=$(own_libtorch)
  [[ -n $own ]] && options+=("-DLIBTORCH_ROOT=$own")
  command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
  nvcc=$(find_nvcc)
  if [[ -n $nvcc ]]; then
    missing=$(missing_cuda_libraries "${own:-$libtorch}")
    if [[ -n $missing ]]; then
      say "    without CUDA, although nvcc is there: LibTorch's CUDA part lacks $missing"
      options+=(-DHQTRACK_CUDA=OFF)
    elif [[ $preset == release ]]; then
      options+=("-DCMAKE_CUDA_COMPILER=$nvcc")
    fi
  fi
  if ! logged "configure-$preset" cmake -S "$root" "${options[@]}" "$@"; then
    tail -n 20 "$logs/configure-$preset.log" >&2
    fail "cmake could not configure the build; all it said: $logs/configure-$preset.log"
  fi
}

build() {
  local -a options=(--build "$build_folder" -j "$(nproc)")
  [[ -n $target ]] && options+=(--target "$target")
  # Paths relative to the repository let another clone on this machine use the same compiled files.
  CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros cmake "${options[@]}"
}

preset=release target="" with_build=1
while (($#)); do
  case "$1" in
    --preset | --target)
      (($# > 1)) || fail "$1: expected a name after it"
      if [[ $1 == --preset ]]; then preset="$2"; else target="$2"; fi
      shift
      ;;
    --no-build) with_build=0 ;;
    -h | --help) usage && exit 0 ;;
    --) shift && break ;;
    *) usage >&2 && fail "unknown option: $1" ;;
  esac
  shift
done
case "$preset" in
  release) build_folder="$root/build" ;;
  debug | asan | tsan) build_folder="$root/build-$preset" ;;
  *) fail "--preset: expected release, debug, asan or tsan, found '$preset'" ;;
esac

start=$SECONDS
step "Debian packages" install_packages "${packages[@]}"
step "LibTorch" install_libtorch
if ((with_build)); then
  cd "$root"
  step "Configure (preset $preset, in ${build_folder#"$root"/})" configure "$@"
  step "Build${target:+ of $target}" build
fi
say "Set-up took $(elapsed "$start")."
