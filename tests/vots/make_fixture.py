"""Makes tests/data/vots: a small data set in the layout of the VOT toolkit, results of invented trackers, and what
the toolkit measures on them. Run once, with vot-toolkit 0.9.0 (scripts/install_vot_toolkit.sh):
    .cache/vot_toolkit/bin/python tests/vots/make_fixture.py tests/data/vots
"""

import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np

WIDTH, HEIGHT, LENGTH = 192, 144, 32
UNKNOWN, ABSENT = "0", "1"


def texture(random, height, width, colour, strength):
    noise = cv2.resize(random.normal(0, strength, (height // 6 + 1, width // 6 + 1, 3)), (width, height),
                       interpolation=cv2.INTER_CUBIC)
    return np.clip(np.array(colour) + noise, 0, 255)


class Shape:
    """An ellipse or a box with a texture of its own that moves along a line."""

    def __init__(self, random, kind, size, start, step, colour):
        self.kind, self.size, self.start, self.step = kind, size, np.array(start, float), np.array(step, float)
        self.texture = texture(random, size[1] * 2 + 1, size[0] * 2 + 1, colour, 25)

    def centre(self, frame):
        return np.round(self.start + frame * self.step).astype(int)

    def mask(self, frame):
        x, y = self.centre(frame)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if self.kind == "ellipse":
            cv2.ellipse(mask, (int(x), int(y)), self.size, 20, 0, 360, 1, -1)
        else:
            cv2.rectangle(mask, (int(x - self.size[0]), int(y - self.size[1])),
                          (int(x + self.size[0]), int(y + self.size[1])), 1, -1)
        return mask

    def paint(self, picture, frame):
        x, y = self.centre(frame) - np.array(self.size)
        rows, columns = np.nonzero(self.mask(frame))
        in_y, in_x = np.clip(rows - y, 0, self.texture.shape[0] - 1), np.clip(columns - x, 0, self.texture.shape[1] - 1)
        picture[rows, columns] = self.texture[in_y, in_x]


def region(mask):
    """mX,Y,W,H,runs: the smallest box, background first."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return "m0,0,1,1,1"
    top, left = rows.min(), columns.min()
    box = mask[top:rows.max() + 1, left:columns.max() + 1]
    values = box.reshape(-1)
    changes = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff(np.concatenate(([0], changes, [values.size]))).tolist()
    if values[0]:
        runs.insert(0, 0)
    return "m" + ",".join(str(n) for n in [left, top, box.shape[1], box.shape[0], *runs])


def sequences():
    """name, background colour, shapes in drawing order (later ones cover), ids, frames per shape."""
    random = np.random.default_rng(5)
    ever = range(LENGTH)
    yield ("cross", (90, 110, 100), [
        ("1", Shape(random, "ellipse", (26, 17), (36, 60), (3.4, 0.5), (40, 60, 210)), ever),
        ("2", Shape(random, "box", (15, 20), (156, 88), (-3.1, -0.4), (210, 160, 50)), ever)])
    yield ("gone", (120, 100, 90), [
        ("object", Shape(random, "ellipse", (22, 24), (60, 70), (1.2, 0.3), (60, 190, 230)),
         [t for t in ever if not 11 <= t < 25])])
    yield ("late", (100, 120, 120), [
        ("1", Shape(random, "box", (20, 14), (40, 40), (2.2, 1.1), (50, 200, 60)), ever),
        ("2", Shape(random, "ellipse", (14, 14), (150, 100), (-1.5, -1.2), (200, 60, 190)), ever),
        ("3", Shape(random, "ellipse", (16, 22), (96, 110), (0.8, -1.0), (30, 220, 220)),
         [t for t in ever if t >= 8])])


def make_data(root):
    truth = {}
    random = np.random.default_rng(6)
    os.makedirs(root)
    for name, colour, shapes in sequences():
        folder = os.path.join(root, name)
        os.makedirs(os.path.join(folder, "color"))
        background = texture(random, HEIGHT, WIDTH, colour, 20)
        lines = {oid: [] for oid, _, _ in shapes}
        for t in range(LENGTH):
            picture = background.copy()
            covered = np.zeros((HEIGHT, WIDTH), np.uint8)
            masks = {}
            for oid, shape, frames in shapes:
                if t in frames:
                    shape.paint(picture, t)
            for oid, shape, frames in reversed(shapes):
                if t not in frames:
                    masks[oid] = None
                    continue
                masks[oid] = shape.mask(t) & (1 - covered)
                covered |= shape.mask(t)
            for oid, _, frames in shapes:
                unseen = UNKNOWN if t < min(frames) else ABSENT
                lines[oid].append(unseen if masks[oid] is None else region(masks[oid]))
            if name == "gone" and t == 28:
                lines["object"][t] = UNKNOWN
            cv2.imwrite(os.path.join(folder, "color", "%08d.jpg" % (t + 1)), picture.astype(np.uint8),
                        [cv2.IMWRITE_JPEG_QUALITY, 85])
        truth[name] = lines
        for oid, regions in lines.items():
            file = "groundtruth.txt" if oid == "object" else "groundtruth_%s.txt" % oid
            write_lines(os.path.join(folder, file), regions)
        if name == "late":
            ignored = np.zeros((HEIGHT, WIDTH), np.uint8)
            ignored[:, 150:] = 1
            write_lines(os.path.join(folder, "groundtruth__ignore.txt"), [region(ignored)] * LENGTH)
        write_lines(os.path.join(folder, "sequence"), [
            "channels.color=color/%08d.jpg", "format=default", "fps=24", "name=" + name, "width=%d" % WIDTH,
            "height=%d" % HEIGHT, "length=%d" % LENGTH])
    write_lines(os.path.join(root, "list.txt"), list(truth))
    return truth


def write_lines(file, lines):
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("".join(line + "\n" for line in lines))


def invented(tracker, oid, t, line, random):
    """What an invented tracker says where the truth is `line`."""
    from vot.region.io import parse_region

    if tracker == "boxes" and line[0] == "m":
        x, y, width, height = (int(n) for n in line[1:].split(",")[:4])
        return "%.4f,%.4f,%.4f,%.4f" % (x + 0.5, y - 1.5, width + 1, height)
    if tracker == "drifts":
        if t % 9 == 5:
            return "m0,0,1,1,1"
        if line[0] != "m":
            return "m%d,20,9,7,0,63" % (10 + t) if t % 2 else "m0,0,1,1,1"
        mask = parse_region(line).rasterize((0, 0, WIDTH - 1, HEIGHT - 1))
        moved = np.roll(mask, (t // 3, t if oid == "2" else t // 4), (0, 1))
        moved[random.random(moved.shape) < 0.003] ^= 1
        return region(moved)
    return line if line[0] == "m" else "m0,0,1,1,1"


def make_results(root, truth):
    for tracker in ("perfect", "drifts", "boxes"):
        random = np.random.default_rng(7)
        for name, lines in truth.items():
            folder = os.path.join(root, tracker, "baseline", name)
            os.makedirs(folder)
            for oid, regions in lines.items():
                first = next(t for t, line in enumerate(regions) if line[0] == "m")
                said = ["1"]
                for t in range(1, LENGTH):
                    said.append("0" if t < first else regions[t] if t == first else
                                invented(tracker, oid, t, regions[t], random))
                stem = name + ("_" + oid if len(lines) > 1 else "") + "_001"
                write_lines(os.path.join(folder, stem + ".txt"), said)


def objects_by_toolkit(sequence, results):
    """Counts and overlaps of each object, by the functions behind the toolkit's analyses."""
    from vot.analysis.longterm import count_frames
    from vot.region import Special, calculate_overlaps
    from vot.region.io import read_trajectory

    bounds = (sequence.width, sequence.height)
    ignored = sequence.object("_ignore")  # None without one
    values = {}
    ids = [oid for oid in sequence.objects() if not oid.startswith("_")]
    for oid in ids:
        stem = sequence.name + ("_" + oid if len(ids) > 1 else "") + "_001.txt"
        said = read_trajectory(os.path.join(results, sequence.name, stem))
        truth = sequence.object(oid)
        counts = count_frames(said, truth, bounds=bounds, ignore_masks=ignored)
        overlaps = calculate_overlaps(said, truth, bounds, ignore=ignored)
        known = [not (isinstance(g, Special) and g.code == 0) for g in truth]
        values[oid] = dict(zip(("tracked", "failed", "missed", "hallucinated", "noticed"), counts),
                           overlaps=[float(o) if k else None for o, k in zip(overlaps, known)])
    return values


def overall_by_toolkit(vot, data, results, tracker):
    """The measures that `vot analysis` writes."""
    with tempfile.TemporaryDirectory() as workspace:
        hqtrack = os.environ.get("HQTRACK", "build/hqtrack")
        subprocess.run([hqtrack, "vots", "--init-workspace", workspace, "--stack", "local", "--name", tracker],
                       check=True, stdout=subprocess.DEVNULL)
        os.symlink(os.path.abspath(data), os.path.join(workspace, "sequences"))
        os.makedirs(os.path.join(workspace, "results"))
        os.symlink(os.path.abspath(results), os.path.join(workspace, "results", tracker))
        subprocess.run([vot, "analysis", "--workspace", workspace, "--format", "json", "--name", "all", tracker],
                       check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(workspace, "analysis", "all.json"), encoding="utf-8") as stream:
            document = json.load(stream)["results"]["baseline"]["results"]
    quality, success, robust, auxiliary = (analysis[0] for analysis in document)
    return {"quality": quality[0], "success": [point[1] for point in success[0]], "accuracy": robust[0],
            "robustness": robust[1], "nre": auxiliary[0], "dre": auxiliary[1], "adq": auxiliary[2]}


def measure(target):
    from vot.dataset import load_sequence

    vot = os.path.join(os.path.dirname(sys.executable), "vot")
    data = os.path.join(target, "data")
    os.makedirs(os.path.join(target, "expected"))
    for tracker in sorted(os.listdir(os.path.join(target, "results"))):
        results = os.path.join(target, "results", tracker)
        with open(os.path.join(data, "list.txt"), encoding="utf-8") as stream:
            names = stream.read().split()
        per_sequence = {name: {"objects": objects_by_toolkit(load_sequence(os.path.join(data, name)),
                                                             os.path.join(results, "baseline"))} for name in names}
        document = {"tracker": tracker, "toolkit": "0.9.0", "sequences": per_sequence,
                    "overall": overall_by_toolkit(vot, data, results, tracker)}
        with open(os.path.join(target, "expected", tracker + ".json"), "w", encoding="utf-8") as stream:
            json.dump(document, stream)


if __name__ == "__main__":
    make_results(os.path.join(sys.argv[1], "results"), make_data(os.path.join(sys.argv[1], "data")))
    measure(sys.argv[1])
