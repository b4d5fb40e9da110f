#!/usr/bin/env python3
"""What hand-made figures of a cell tell of subjects who were left out: what a network can be hoped to find, and what misleads it.

    python3 figures.py C-NMC/fold_1          # all/ and hem/, UID_SUBJECT_… .bmp or .png; nine minutes on two cores beside other work

Needs numpy, scipy, scikit-learn and Pillow. Measures every cell (size, outline, tone, rings, texture, colour) and, for each fold of
ablation.json, fits a logistic regression and a forest of extremely randomised trees (Geurts et al. 2006) to sets of those figures on
the subjects that stay, each class and within it each subject with the same weight. Prints the AUROC of the cells that were left out,
fold by fold, its mean, and the balanced accuracy at even odds; then the same of each figure beside the area.
"""
import argparse
import json
import pathlib
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

BLACK = 15  # sum of three channels: beyond it lies the cell
RIM = 8  # pixels of the originals that the interior leaves out
SIGMAS = (1, 1.5, 2.2, 3.3, 5, 7.5, 11, 16)
RINGS = 5
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def measured(path):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(np.float32)
    parts, count = ndimage.label(pixels.sum(2) > BLACK)
    largest = 1 + np.argmax(ndimage.sum(parts > 0, parts, range(1, count + 1)))
    cell = ndimage.binary_fill_holes(parts == largest)
    area = cell.sum()
    rows, columns = np.nonzero(cell)
    short, long = np.linalg.eigvalsh(np.cov(np.stack([rows, columns])))
    outline = (cell & ~ndimage.binary_erosion(cell)).sum()
    figures = {
        "area": np.log(area),
        "shape roundness": outline**2 / area,
        "shape elongation": np.sqrt(short / long),
        "shape ellipse": area / (4 * np.pi * np.sqrt(short * long)),
    }
    interior = ndimage.binary_erosion(cell, iterations=RIM)
    interior = interior if interior.sum() > 500 else cell
    light = pixels @ LUMINANCE
    mean, deviation = light[interior].mean(), light[interior].std() + 1e-3
    relative = (light - mean) / deviation
    inside = np.clip(relative[interior], -5, 5)
    figures |= {"light mean": mean, "light deviation": deviation}
    figures |= {"tone skewness": (inside**3).mean(), "tone kurtosis": (inside**4).mean()}
    figures |= {f"tone {share} %": np.percentile(inside, share) for share in (5, 25, 75, 95)}
    density = -np.log((pixels[interior] + 1) / 256).mean(0)
    figures |= {f"colour density {name}": value for name, value in zip("rgb", density)}
    figures |= {"colour red to green": density[0] / density[1], "colour blue to green": density[2] / density[1]}
    figures |= {f"colour deviation {name}": value for name, value in zip("rgb", pixels[interior].std(0))}

    weights, values = cell.astype(np.float32), np.where(cell, relative, 0)

    def smooth(sigma):
        return ndimage.gaussian_filter(values, sigma) / np.maximum(ndimage.gaussian_filter(weights, sigma), 1e-3)

    finer = values
    for sigma in SIGMAS:
        coarser = smooth(sigma)
        figures[f"texture {sigma} px"] = np.log((finer - coarser)[interior].std() + 1e-4)
        finer = coarser
    spots = smooth(2) - smooth(8)
    figures |= {"texture bright spots": (spots[interior] > 0.5).mean(), "texture dark spots": (spots[interior] < -0.5).mean()}
    depth = ndimage.distance_transform_edt(cell)
    depth /= depth.max()
    for ring in range(RINGS):
        here = cell & (depth >= ring / RINGS) & ((depth < (ring + 1) / RINGS) | (ring == RINGS - 1))
        figures[f"ring {ring}"] = relative[here].mean() if here.any() else 0
    return figures


def evenly(positive, subjects):
    """Weights by which each class counts the same, and within it each subject."""
    weights = np.zeros(len(positive))
    for label in (False, True):
        own = set(subjects[positive == label])
        for subject in own:
            here = (subjects == subject) & (positive == label)
            weights[here] = 1 / here.sum() / len(own)
    return weights / weights.mean()


def left_out(values, positive, subjects, folds, model):
    """AUROC of each fold, and the mean balanced accuracy."""
    ranked, balanced = [], []
    for own in folds:
        test = np.isin(subjects, own)
        scaler = StandardScaler().fit(values[~test])
        model.fit(scaler.transform(values[~test]), positive[~test], sample_weight=evenly(positive[~test], subjects[~test]))
        scores, blasts = model.predict_proba(scaler.transform(values[test]))[:, 1], positive[test]
        ranked.append(roc_auc_score(blasts, scores))
        balanced.append(((scores[blasts] > 0.5).mean() + (scores[~blasts] <= 0.5).mean()) / 2)
    return ranked, np.mean(balanced)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=pathlib.Path)
    folder = parser.parse_args().cells
    paths = sorted(path for label in ("all", "hem") for path in (folder / label).iterdir())
    if not paths:
        raise SystemExit(f"{folder}: no cells in all/ and hem/")
    folds = json.loads(pathlib.Path(__file__).with_name("ablation.json").read_text())["folds"].values()
    with ProcessPoolExecutor() as pool:
        each = list(pool.map(measured, paths, chunksize=16))
    names = list(each[0])
    values = np.array([[figures[name] for name in names] for figures in each])
    positive = np.array([path.parent.name == "all" for path in paths])
    subjects = np.array([path.stem.split("_")[1] for path in paths])

    def told(what, chosen, models):
        places = [names.index(name) for name in chosen]
        for kind, model in models.items():
            ranked, balanced = left_out(values[:, places], positive, subjects, folds, model)
            each = " ".join(f"{own:.3f}" for own in ranked)
            print(f"{what:32} {kind:10} {each}  mean {np.mean(ranked):.3f}  balanced {balanced:.3f}", flush=True)

    logistic = {"logistic": LogisticRegression(C=0.1, max_iter=2000)}
    both = logistic | {"trees": ExtraTreesClassifier(300, min_samples_leaf=10, n_jobs=-1, random_state=0)}

    def of(*kinds):
        return [name for name in names if name.split(" ")[0] in kinds]

    told("area", ["area"], both)
    for kinds in (["shape"], ["tone"], ["ring"], ["texture"], ["light", "colour"], ["shape", "tone", "ring"]):
        told(f"area, {', '.join(kinds)}", of("area", *kinds), both)
    told("all of them", names, both)
    for kinds in (["tone"], ["ring"], ["texture"], ["light", "colour"]):
        told(f"{', '.join(kinds)} without area", of(*kinds), both)
    for name in names[1:]:
        told(f"area, {name}", ["area", name], logistic)


if __name__ == "__main__":
    main()
