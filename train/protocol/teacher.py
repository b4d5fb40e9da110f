#!/usr/bin/env python3
"""A teacher for `leukd-train fit --targets`: logistic regression on hand-made figures of each cell.

    teacher.py --data cells.csv --fold-table folds.csv --repeat 1 --fold 1 --out targets.csv
    teacher.py --data cells.csv --split run/split.csv --out targets.csv   # its training side
    teacher.py --data cells.csv --out targets.csv                         # every cell

Fitted on the persons outside the fold, or on a split's training side, alone: classes 1:1, every
person of a class as much. Writes `name` and `p_all` for every cell.
`--figures` (an .npz) keeps the figures for the next fold. Needs numpy, scipy, scikit-learn, Pillow.
"""
import argparse
import csv
import hashlib
import os

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

SIDE = 224  # pixels of the square in which every cell has the same area, a third of it
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
SCALES = (0.8, 1.2, 1.8, 2.7, 4, 6, 9)  # deviations of Gaussians between texture bands, pixels


def at_one_area(picture):
    """The cell's area in pixels, and the cell about its centroid at one area."""
    mask = picture.max(2) > 0
    area = int(mask.sum())
    rows, columns = np.nonzero(mask)
    y, x = rows.mean() + 0.5, columns.mean() + 0.5
    margin = 300
    padded = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)))
    half = (area * 3) ** 0.5 / 2
    box = (margin + x - half, margin + y - half, margin + x + half, margin + y + half)
    square = Image.fromarray(padded).resize((SIDE, SIDE), Image.BILINEAR, box=box)
    return area, np.asarray(square)


def figures(picture):
    """The cell's figures by name."""
    area, square = at_one_area(picture)
    pixels = square.astype(np.float32)
    mask = ndimage.binary_fill_holes(pixels.max(2) > 10)
    out = {"area": np.log(area)}
    edge = mask & ~ndimage.binary_erosion(mask)
    out["shape round"] = edge.sum() ** 2 / max(mask.sum(), 1)
    short, long = np.linalg.eigvalsh(np.cov(np.stack(np.nonzero(mask))))
    out["shape elongation"] = np.sqrt(short / long)
    out["shape ellipse"] = mask.sum() / (4 * np.pi * np.sqrt(short * long))
    inner = ndimage.binary_erosion(mask, iterations=6)
    inner = inner if inner.sum() > 300 else mask
    density = -np.log((pixels + 1) / 256)
    mean, spread = density[inner].mean(0), density[inner].std(0)
    for index, channel in enumerate("rgb"):
        out[f"density mean {channel}"] = mean[index]
        out[f"density spread {channel}"] = spread[index]
    out["colour red to green"] = mean[0] / mean[1]
    out["colour blue to green"] = mean[2] / mean[1]
    light = pixels @ LUMINANCE
    light = (light - light[inner].mean()) / (light[inner].std() + 1e-3)
    tone = np.clip(light[inner], -5, 5)
    out["tone skewness"] = (tone**3).mean()
    out["tone kurtosis"] = (tone**4).mean()
    for percent in (5, 25, 75, 95):
        out[f"tone {percent}"] = np.percentile(tone, percent)
    weight = mask.astype(np.float32)
    fine = values = np.where(mask, light, 0).astype(np.float32)
    for scale in SCALES:
        blurred = ndimage.gaussian_filter(values, scale)
        coarse = blurred / np.maximum(ndimage.gaussian_filter(weight, scale), 1e-3)
        band = (fine - coarse)[inner]
        out[f"texture spread {scale}"] = np.log(band.std() + 1e-4)
        skewness = (band**3).mean() / (band.std() ** 3 + 1e-6)
        out[f"texture skewness {scale}"] = np.clip(skewness, -5, 5)
        fine = coarse
    depth = ndimage.distance_transform_edt(mask)
    depth /= max(depth.max(), 1)
    for ring in range(5):
        own = mask & (depth >= ring / 5) & ((depth < (ring + 1) / 5) | (ring == 4))
        out[f"ring mean {ring}"] = light[own].mean() if own.any() else 0
        out[f"ring spread {ring}"] = light[own].std() if own.any() else 0
    return out


def measured(rows, folder, kept):
    """Figures of every cell, their names, and a digest of each picture's pixels."""
    if kept and os.path.exists(kept):
        stored = np.load(kept)
        if list(stored["paths"]) == [row["path"] for row in rows]:
            return stored["values"], list(stored["names"]), stored["digests"]
    values, digests = [], []
    for row in rows:
        picture = np.asarray(Image.open(os.path.join(folder, row["path"])).convert("RGB"))
        values.append(figures(picture))
        digests.append(hashlib.sha1(picture.tobytes()).hexdigest())
    names = list(values[0])
    values = np.array([[one[name] for name in names] for one in values])
    digests = np.array(digests)
    if kept:
        paths = [row["path"] for row in rows]
        np.savez(kept, values=values, names=names, digests=digests, paths=paths)
    return values, names, digests


def standardised(values, fitted):
    return np.clip(StandardScaler().fit(values[fitted]).transform(values), -6, 6)


def with_products(values, names, fitted):
    """Each figure, and times area and mean densities; scaled by the fitted cells alone."""
    plain = standardised(values, fitted)
    times = ("area", "density mean r", "density mean g", "density mean b")
    by = [names.index(name) for name in times]
    products = [plain * plain[:, [index]] for index in by]
    return standardised(np.concatenate([plain, *products], 1), fitted)


def person_weights(is_all, persons, fitted):
    """Equal classes, and equal persons within a class."""
    weights = np.zeros(len(persons))
    for label in (True, False):
        own = fitted & (is_all == label)
        for person in sorted(set(persons[own])):
            cells = own & (persons == person)
            weights[cells] = 1 / cells.sum() / len(set(persons[own]))
    return weights / weights[fitted].mean()


def read(parser, args):
    """Rows of the data, names of the figures, digests of the pictures, and the figures."""
    if bool(args.fold_table) != bool(args.fold):
        parser.error("--fold-table and --fold go together")
    with open(args.data, newline="") as file:
        rows = list(csv.DictReader(file))
    values, names, digests = measured(rows, os.path.dirname(args.data), args.figures)
    return rows, names, digests, values


def sides(rows, digests, args):
    """Labels, persons, and the cells to fit on."""
    is_all = np.array([row["label"] == "all" for row in rows])
    persons = np.array([row["subject"] for row in rows])
    # Byte-identical pictures count once.
    fitted = np.zeros(len(rows), bool)
    fitted[np.unique(digests, return_index=True)[1]] = True
    if args.fold_table:
        with open(args.fold_table, newline="") as file:
            column = f"repeat_{args.repeat}"
            fold = {row["subject"]: int(row[column]) for row in csv.DictReader(file)}
        fitted &= np.array([fold[person] != args.fold for person in persons])
    if args.split:
        with open(args.split, newline="") as file:
            trained = {row["name"] for row in csv.DictReader(file) if row["side"] == "training"}
        fitted &= np.array([os.path.basename(row["path"]) in trained for row in rows])
    return is_all, persons, fitted


def write(path, rows, chances):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("name", "p_all"))
        for row, chance in zip(rows, chances):
            out.writerow((os.path.basename(row["path"]), f"{chance:.6f}"))


def main():
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--data", required=True, help="CSV: path, label, subject")
    parser.add_argument("--fold-table", help="folds.csv; without it every person is fitted on")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--fold", type=int, help="whose persons are left out")
    parser.add_argument("--split", help="split.csv of a run")
    parser.add_argument("--figures", help="keeps the figures, .npz")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    rows, names, digests, values = read(parser, args)
    is_all, persons, fitted = sides(rows, digests, args)
    inputs = with_products(values, names, fitted)
    teacher = LogisticRegression(C=0.01, max_iter=2000, tol=1e-4)
    weights = person_weights(is_all, persons, fitted)
    teacher.fit(inputs[fitted], is_all[fitted], sample_weight=weights[fitted])
    chances = teacher.predict_proba(inputs)[:, 1]
    write(args.out, rows, chances)
    print(f"{args.out}: fitted on {fitted.sum()} cells of {len(set(persons[fitted]))} persons")


if __name__ == "__main__":
    main()
