#!/usr/bin/env bash
# The official VOT toolkit drives `hqtrack vots` over the data set of tests/data/vots, and what it measures is
# compared with `hqtrack eval vots`. Usage: toolkit_test.sh HQTRACK REPOSITORY
set -euo pipefail
hqtrack="$1" repository="$2"
toolkit="$repository/.cache/vot_toolkit/bin"
if [[ ! -x $toolkit/vot ]]; then
  echo "skipped: no VOT toolkit (scripts/install_vot_toolkit.sh)"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LD_LIBRARY_PATH=/nowhere # the toolkit replaces it anyway
data="$repository/tests/data/vots/data"
fail() { echo "FAILED: $*" >&2 && exit 1; }

# evaluate NAME OPTION...: a workspace, and the toolkit over it. It ends with status 0 even when the tracker failed.
evaluate() {
  local name="$1" workspace="$folder/with blank $1" files
  shift
  "$hqtrack" vots --init-workspace "$workspace" --stack local --name "$name" --config "$repository/configs/nano.yaml" "$@" >"$folder/$name.next"
  ln -s "$data" "$workspace/sequences"
  "$toolkit/vot" evaluate --workspace "$workspace" "$name" >"$folder/$name.log" 2>&1 || fail "$name: vot evaluate: $(tail -5 "$folder/$name.log")"
  files=$(find "$workspace/results/$name/baseline" -name '*_001.bin' | wc -l)
  [[ $files == 6 ]] || fail "$name: expected results of 6 objects, found $files; $(tail -5 "$folder/$name.log")"
}

evaluate trax
workspace="$folder/with blank trax"
"$toolkit/vot" analysis --workspace "$workspace" --format json --name all trax >"$folder/analysis.log" 2>&1 ||
  fail "vot analysis: $(tail -5 "$folder/analysis.log")"
"$toolkit/vot" pack --workspace "$workspace" trax >"$folder/pack.log" 2>&1 || fail "vot pack: $(tail -5 "$folder/pack.log")"
packed=$("$toolkit/python" -c 'import sys, zipfile; print(sum(n.endswith(".bin") for n in zipfile.ZipFile(sys.argv[1]).namelist()))' "$workspace"/trax_*.zip)
[[ $packed == 6 ]] || fail "vot pack: expected 6 objects, found $packed"

# The toolkit's measures and ours.
"$hqtrack" eval vots --dataset "$data" --results "$workspace/results/trax" --json "$folder/ours.json" >"$folder/table"
"$toolkit/python" - "$workspace/analysis/all.json" "$folder/ours.json" <<'PYTHON'
import json, sys
theirs = [a[0] for a in json.load(open(sys.argv[1]))["results"]["baseline"]["results"]]
ours = json.load(open(sys.argv[2]))
pairs = {"quality": theirs[0][0], "accuracy": theirs[2][0], "robustness": theirs[2][1],
         "nre": theirs[3][0], "dre": theirs[3][1], "adq": theirs[3][2]}
pairs = [(name, ours[name], value) for name, value in pairs.items()]
pairs += [("success", a, b[1]) for a, b in zip(ours["success"], theirs[1][0], strict=True)]
for name, a, b in pairs:
    assert abs(a - b) <= 1e-6, f"{name}: the toolkit says {b}, hqtrack eval vots {a}"
assert ours["quality"] > 0.85, f"quality: expected the objects to be followed, found {ours['quality']}"
confidence = open(sys.argv[1].replace("analysis/all.json", "results/trax/baseline/gone/gone_001_confidence.value")).read().split()
assert len(set(confidence)) > 10, "confidence: expected real numbers"
print(f"{len(pairs)} measures agree, quality {ours['quality']:.4f}")
PYTHON

# The same masks by the folder protocol, and without the toolkit.
evaluate folder --folder .
"$hqtrack" eval vots --dataset "$data" --results "$folder/run" --run --config "$repository/configs/nano.yaml" >"$folder/run.table" 2>"$folder/run.log" ||
  fail "hqtrack eval vots --run: $(cat "$folder/run.log")"
while read -r file; do
  for other in "$folder/with blank folder/results/folder/baseline/$file" "$folder/run/baseline/$file"; do
    cmp -s "$workspace/results/trax/baseline/$file" "$other" || fail "$other: expected the masks that TraX gave"
  done
done < <(cd "$workspace/results/trax/baseline" && find . -name '*.bin')
echo "TraX, folder protocol and eval vots --run give the same masks"

# Boxes in, boxes out.
evaluate rectangles --region rectangle
"$hqtrack" eval vots --dataset "$data" --results "$folder/with blank rectangles/results/rectangles" --json "$folder/boxes.json" >"$folder/table"
"$toolkit/python" -c 'import json, sys; q = json.load(open(sys.argv[1]))["quality"]; assert q > 0.6, f"quality of boxes: {q}"; print(f"boxes: quality {q:.4f}")' "$folder/boxes.json"
