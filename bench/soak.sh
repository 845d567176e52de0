#!/usr/bin/env bash
# Follows a camera for long, with outages, and says whether anything grows: memory, descriptors, threads, latency.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usage() {
  cat <<'TEXT'
Usage: bench/soak.sh [--minutes N] [--every SECONDS] [--size WxH] [--folder DIR]
Runs `hqtrack track` on a test camera (build/rtsp_server: a ball that bounces, 25
frames a second) that is killed and comes back every five minutes, with
recordings in segments, HLS, events and the control interface, and prints a line
now and then. The last line compares the first quarter with the last.

  --minutes N    how long (60)
  --every S      seconds between two lines (60)
  --size WxH     of the camera's pictures (640x480)
  --folder DIR   for outputs; recordings are deleted as they come (a temporary one)
TEXT
}

minutes=60 every=60 size=640x480 folder=""
while (($#)); do
  case "$1" in
    --minutes) minutes="$2" ;;
    --every) every="$2" ;;
    --size) size="$2" ;;
    --folder) folder="$2" ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift 2
done
hqtrack="$root/build/hqtrack" server="$root/build/rtsp_server"
for program in "$hqtrack" "$server"; do
  [[ -x $program ]] || { echo "soak.sh: $program: expected the built program, found none" >&2 && exit 1; }
done
[[ -n $folder ]] || folder=$(mktemp -d)
mkdir -p "$folder"
rm -f "$folder/rows" # of an earlier run
port=$((20000 + RANDOM % 20000))
camera=0 track=0
# shellcheck disable=SC2317 # called by the trap
finish() {
  kill -KILL "$camera" 2>/dev/null || true
  if kill -TERM "$track" 2>/dev/null; then wait "$track" || true; fi
}
trap finish EXIT

start_camera() {
  "$server" "$port" "ball:$size" >/dev/null 2>&1 &
  camera=$!
  disown "$camera" # its end is no news
}

start_camera
sleep 1
"$hqtrack" track "rtsp://127.0.0.1:$port/clip" --control "$((port + 1))" --stats "$every" --timeout 3 \
  -o "$folder/rec.mkv" --segment 60 -o "$folder/live.m3u8" --events "$folder/events.ndjson" --overwrite 2>"$folder/log" &
track=$!
until "$hqtrack" ctl list --control "$((port + 1))" >/dev/null 2>&1; do
  kill -0 "$track" 2>/dev/null || { cat "$folder/log" >&2 && exit 1; }
  sleep 0.5
done
"$hqtrack" ctl add --box 0,0,100,100 --name corner --control "$((port + 1))" >/dev/null || true

metric() { sed -n "s/^hqtrack_$1{stream=\"main\"} //p" "$folder/metrics"; }
printf '%7s %9s %6s %8s %9s %9s %8s  %s\n' minute "RSS MiB" files threads tracked dropped outages "latency ms p50 p95 p99"
rows=0 start=$SECONDS next_outage=$((SECONDS + 300))
while ((SECONDS - start < minutes * 60)); do
  sleep "$every"
  if ((SECONDS >= next_outage)); then
    kill -KILL "$camera"
    sleep 5
    start_camera
    next_outage=$((SECONDS + 300))
    sleep 10
  fi
  kill -0 "$track" 2>/dev/null || { echo "soak.sh: the run ended:" >&2 && tail -3 "$folder/log" >&2 && exit 1; }
  "$hqtrack" ctl metrics --control "$((port + 1))" >"$folder/metrics"
  rss=$(awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$track/status")
  threads=$(awk '/^Threads/ {print $2}' "/proc/$track/status")
  files=$(find "/proc/$track/fd" -mindepth 1 | wc -l)
  latency=$(sed -n 's/.*latency \([0-9]*\) ms (p50), \([0-9]*\) (p95), \([0-9]*\) (p99)/\1 \2 \3/p' "$folder/log" | tail -1)
  printf '%7.1f %9s %6s %8s %9s %9s %8s  %s\n' "$(awk "BEGIN {print ($SECONDS - $start) / 60}")" "$rss" "$files" "$threads" \
    "$(metric frames_tracked_total)" "$(metric frames_dropped_total)" "$(metric outages_total)" "$latency"
  echo "$rss $files $threads ${latency:-0 0 0}" >>"$folder/rows"
  rows=$((rows + 1))
  find "$folder" -name 'rec-*.mkv' -mmin +3 -delete
done
awk -v rows="$rows" '
  NR <= (rows + 3) / 4 { for (i = 1; i <= 6; ++i) first[i] += $i; ++a }
  NR > rows - (rows + 3) / 4 { for (i = 1; i <= 6; ++i) last[i] += $i; ++b }
  END { printf "first quarter -> last: RSS %.1f -> %.1f MiB, files %.1f -> %.1f, threads %.1f -> %.1f, latency p50 %.0f -> %.0f ms, p95 %.0f -> %.0f\n",
        first[1]/a, last[1]/b, first[2]/a, last[2]/b, first[3]/a, last[3]/b, first[4]/a, last[4]/b, first[5]/a, last[5]/b }' "$folder/rows"
echo "outputs and log: $folder"
