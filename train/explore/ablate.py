#!/usr/bin/env python3
"""Compares augmentations and stain standardisations by leaving subjects out, on a graphics card that is lent for minutes.

    leukd-train pack --data DIR --out cells.zip --recipe modern        # once; see `leukd-train pack --help`
    python3 ablate.py cells.zip                                        # every configuration of ablation.json
    python3 ablate.py cells.zip --only luminance --limit 2 --batch 8 --model tf_efficientnet_b0    # whether it runs at all

Needs numpy, torch, timm and Pillow, and twin.py beside it: the trainer's recipe (train/src/recipe/modern.toml,
train/src/augment, crates/leukd-cell/src/standardise.rs) in PyTorch, for choosing quickly. A configuration's folds train side by side, each a
CUDA graph on a stream of its own; without a card the same steps run one by one, to see whether they run. What is shipped is
trained and measured by leukd-train, and these numbers are not the product's: bfloat16 instead of f32, pixels not rounded to 8
bits between steps, PyTorch's resize where a configuration's size is not the pack's, no engine, no int8, no validation cells, no
calibration (a cell is called `all` where that logit is the larger). Some details differ too: gamma comes before contrast and
brightness; the blur mixes in the black around a cell and comes before the stain; `density` is standardised in levels; the
residual is drawn for each channel, under `luminance` too, `flat` quiets its shift as well, and `grey` comes after both; weights
are averaged at every step, and norms and biases do not decay. A repetition on a card does not give the same numbers.

Prints a line of JSON for every fold and, at the end, a table: AUROC of each held-out fold; `mean`, their mean; `pairs`, the mean
over the folds of the mean AUROC over all pairs of an `all` and a `hem` subject (each subject counts the same); balanced accuracy;
sensitivity to `all` and specificity of each fold. With --limit the numbers mean nothing.
"""
import argparse
import contextlib
import copy
import io
import json
import math
import pathlib
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from twin import CUDA, DEVICE, Network, Recipe, shuffled, standardised, varied

LABELS = ["all", "hem"]
OVERRULED = {"model": str, "batch": int, "epochs": int, "seed": int}


class Cells:
    """What `leukd-train pack` wrote."""

    def __init__(self, path):
        with zipfile.ZipFile(path) as pack:
            index = json.loads(pack.read("index.json"))
            if index["version"] not in (1, 2):
                raise SystemExit(f"{path}: the index has version {index['version']}, not 1 or 2")
            pictures = [pack.read(f"{place:08}.png") for place in range(len(index["cells"]))]
        with ThreadPoolExecutor() as pool:
            pixels = list(pool.map(lambda png: np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), pictures))
        self.pixels = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        self.names = [cell["name"] for cell in index["cells"]]
        self.subjects = np.array([cell["subject"] for cell in index["cells"]])
        self.labels = np.array([LABELS.index(cell["label"]) for cell in index["cells"]])
        self.sizes = {}

    def at(self, size):
        if size not in self.sizes:
            self.sizes[size] = torch.cat([shrunk(part.to(DEVICE), size) for part in self.pixels.split(512)])
        return self.sizes[size]


def shrunk(pixels, size):
    if pixels.shape[-1] == size:
        return pixels
    resized = F.interpolate(pixels.float(), size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized.round().clamp(0, 255).byte()


class Run:
    """One configuration with one fold's subjects held out."""

    def __init__(self, recipe, fold, held_out, cells, limit):
        self.recipe, self.fold, self.cells, self.limit = recipe, fold, cells, limit
        held = np.isin(cells.subjects, held_out)
        self.train, self.test = np.flatnonzero(~held), np.flatnonzero(held)
        if limit:
            self.test = self.test[:: max(1, len(self.test) // 64)]
        self.pixels = cells.at(recipe.size)
        self.labels = torch.as_tensor(cells.labels, device=DEVICE)
        seed = recipe.seed * 100 + int(fold)
        torch.manual_seed(seed)
        self.random = np.random.default_rng(seed)
        self.network = Network(recipe).to(DEVICE).to(memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.own, self.averaged = numbers(self.network), numbers(self.average)
        # What changes from step to step is kept where the captured graph reads it.
        self.learning_rate = torch.tensor(0.0, device=DEVICE)
        self.taken = torch.tensor(0.0, device=DEVICE)
        self.share = torch.tensor(1.0, device=DEVICE)
        self.batch = torch.as_tensor(self.train[: recipe.batch], device=DEVICE).clone()
        self.optimizer = optimizer(self.network, self.learning_rate, recipe.weight_decay)
        self.steps_a_pass = len(self.train) // recipe.batch
        self.steps = limit or self.steps_a_pass * recipe.epochs
        self.step, self.figures = 0, None
        self.stream = torch.cuda.Stream() if CUDA else None

    def on_stream(self):
        return torch.cuda.stream(self.stream) if CUDA else contextlib.nullcontext()

    def body(self):
        """One step, without a word from the host."""
        recipe = self.recipe
        pixels = self.pixels[self.batch].float()
        targets = F.one_hot(self.labels[self.batch], 2).float() * (1 - recipe.smoothing) + recipe.smoothing / 2
        with torch.no_grad():
            pixels = varied(pixels, recipe)
            if recipe.mixup > 0:
                other = shuffled(recipe.batch)
                pixels = self.share * pixels + (1 - self.share) * pixels[other]
                targets = self.share * targets + (1 - self.share) * targets[other]
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CUDA, cache_enabled=False):
            logits = self.network(pixels)
        loss = -(targets * F.log_softmax(logits.float(), 1)).sum(1).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            apart = torch._foreach_sub(self.own, self.averaged)
            torch._foreach_mul_(apart, self.taken)
            torch._foreach_add_(self.averaged, apart)

    def capture(self):
        """The body as a graph. Two steps at a learning rate of 0 come first, so that every buffer is there."""
        if not CUDA:
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(2):
                self.body()
        torch.cuda.current_stream().wait_stream(self.stream)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.body()
        torch.cuda.synchronize()

    def drawn(self):
        """A pass's batches: as many `all` as `hem`, and within a class every subject as often."""
        wanted = self.steps_a_pass * self.recipe.batch
        places = []
        for label in range(len(LABELS)):
            own = self.train[self.cells.labels[self.train] == label]
            groups = [own[self.cells.subjects[own] == subject] for subject in dict.fromkeys(self.cells.subjects[own])]
            draws = wanted // 2 // len(groups) + 1
            for group in groups:
                passes = [self.random.permutation(group) for _ in range(-(-draws // len(group)))]
                places.append(np.concatenate(passes)[:draws])
        places = self.random.permutation(np.concatenate(places))[:wanted]
        return torch.as_tensor(places, device=DEVICE).view(self.steps_a_pass, -1)

    def advance(self):
        recipe = self.recipe
        place = self.step % self.steps_a_pass
        if place == 0:
            self.batches = self.drawn()
        done, warm_up = self.step / self.steps, recipe.warm_up
        cosine = 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))
        rate = recipe.learning_rate * (done / warm_up if done < warm_up else cosine)
        with self.on_stream():
            self.batch.copy_(self.batches[place])
            self.learning_rate.fill_(rate)
            self.taken.fill_(1 - min(recipe.average, (1 + self.step) / (10 + self.step)))
            if recipe.mixup > 0:
                share = self.random.beta(recipe.mixup, recipe.mixup)
                self.share.fill_(max(share, 1 - share))
            if CUDA:
                self.graph.replay()
            else:
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                self.body()
        self.step += 1
        if self.step == self.steps:
            self.margins = self.evaluated()
            self.figures = self.measured()
            print(json.dumps({"configuration": recipe.name, "fold": self.fold, "step": self.step, **self.figures}), flush=True)

    @torch.no_grad()
    def evaluated(self):
        """The held-out cells' `all` logit less `hem`'s: averaged weights, running statistics renewed on training batches."""
        with self.on_stream():
            network = copy.deepcopy(self.average)
            norms = [layer for layer in network.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
                norm.train()
            for batch in self.batches[: self.limit or 24]:
                pixels = varied(self.pixels[batch].float(), self.recipe)
                with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CUDA):
                    network(pixels)
            network.eval()
            logits = []
            for part in torch.as_tensor(self.test, device=DEVICE).split(256):
                pixels = standardised(self.pixels[part].float(), self.recipe)
                with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CUDA):
                    logits.append(network(pixels).float())
            logits = torch.cat(logits).cpu().numpy()
        return logits[:, 0] - logits[:, 1]

    def measured(self):
        positive, subjects = self.cells.labels[self.test] == 0, self.cells.subjects[self.test]
        pairs = []
        for one in np.unique(subjects[positive]):
            for other in np.unique(subjects[~positive]):
                both = (subjects == one) | (subjects == other)
                pairs.append(auroc(self.margins[both], positive[both]))
        sensitivity, specificity = np.mean(self.margins[positive] > 0), np.mean(self.margins[~positive] <= 0)
        found = {"auroc": auroc(self.margins, positive), "pairs": np.mean(pairs),
                 "balanced": (sensitivity + specificity) / 2, "sensitivity": sensitivity, "specificity": specificity}
        return {name: round(float(value), 4) for name, value in found.items()}


def numbers(network):
    return list(network.parameters()) + [own for own in network.buffers() if own.dtype.is_floating_point]


def optimizer(network, learning_rate, weight_decay):
    decayed = [own for own in network.parameters() if own.ndim > 1]
    others = [own for own in network.parameters() if own.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate if CUDA else 1e-3, capturable=CUDA, fused=CUDA)


def auroc(scores, positive):
    """The mean rank of equal scores counts."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ones = positive.sum()
    return (ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * (~positive).sum())


def table(results):
    """Configurations of which all or some folds are done."""
    print(f"\n{'configuration':45}  auroc of each fold   mean  pairs  balanced  sensitivity     specificity")
    for name, folds in results.items():
        each = {key: " ".join(f"{fold[key]:.3f}" for fold in folds) for key in ("auroc", "sensitivity", "specificity")}
        mean = {key: np.mean([fold[key] for fold in folds]) for key in ("auroc", "pairs", "balanced")}
        print(f"{name:45}  {each['auroc']:18}  {mean['auroc']:.3f}  {mean['pairs']:.3f}  {mean['balanced']:.3f}     "
              f"{each['sensitivity']}  {each['specificity']}")


def asked():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", help="what `leukd-train pack` wrote, at the largest size that is asked for")
    parser.add_argument("--configurations", default=pathlib.Path(__file__).with_name("ablation.json"), type=pathlib.Path)
    parser.add_argument("--only", action="append", metavar="NAME", help="this configuration; may be repeated")
    parser.add_argument("--together", type=int, default=3, help="runs side by side: a multiple of the folds (3)")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which what is not done is cut off (8)")
    parser.add_argument("--limit", type=int, default=0, metavar="STEPS", help="so many steps and few test cells: a quick check")
    parser.add_argument("--scores", type=pathlib.Path, metavar="FILE.npz", help="writes every held-out cell's logit margin")
    for name, kind in OVERRULED.items():
        parser.add_argument(f"--{name}", type=kind, help="instead of the configurations' own")
    return parser.parse_args()


def train_together(planned, cells, limit, deadline):
    """Runs side by side, until all are done or until the deadline: what is cut off then is not among those returned."""
    runs = [Run(*own, cells, limit) for own in planned]
    for run in runs:
        run.capture()
    began, turns = time.monotonic(), 0
    while waiting := [run for run in runs if run.step < run.steps]:
        for run in waiting:
            run.advance()
        turns += 1
        if CUDA and turns % 16 == 0:
            torch.cuda.synchronize()
        if time.monotonic() > deadline:
            print("cut off", flush=True)
            break
    if CUDA:
        torch.cuda.synchronize()
    images, seconds = sum(run.step * run.recipe.batch for run in runs), time.monotonic() - began
    print(f"{len(runs)} runs: {seconds:.0f} s, {images / seconds:.0f} images/s", flush=True)
    return [(run.recipe.name, run.fold, run.figures, run.margins, run.test) for run in runs if run.figures]


def chosen(arguments):
    """Every run that is asked for: recipe, fold, held-out subjects."""
    plan = json.loads(arguments.configurations.read_text())
    overruled = {name: getattr(arguments, name) for name in OVERRULED if getattr(arguments, name) is not None}
    recipes = [Recipe(**{**plan["base"], **own, **overruled}) for own in plan["configurations"]]
    only = set(arguments.only or [recipe.name for recipe in recipes])
    if unknown := only - {recipe.name for recipe in recipes}:
        raise SystemExit(f"no such configuration: {', '.join(sorted(unknown))}")
    return [(recipe, *fold) for recipe in recipes if recipe.name in only for fold in plan["folds"].items()]


def main():
    arguments = asked()
    deadline = time.monotonic() + 60 * arguments.minutes
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    planned, cells = chosen(arguments), Cells(arguments.cells)
    if unknown := {subject for *_, held_out in planned for subject in held_out} - set(cells.subjects.tolist()):
        raise SystemExit(f"{arguments.cells} has no cell of {', '.join(sorted(unknown))}")
    results, scores = {}, {}
    for first in range(0, len(planned), arguments.together):
        if time.monotonic() > deadline:
            print(f"out of time before {planned[first][0].name}", flush=True)
            break
        done = train_together(planned[first : first + arguments.together], cells, arguments.limit, deadline)
        for name, fold, figures, margins, places in done:
            results.setdefault(name, []).append(figures)
            scores[f"{name}|{fold}"], scores[f"cells|{fold}"] = margins, np.array(cells.names)[places]
        if arguments.scores:
            np.savez_compressed(arguments.scores, **scores)
        if CUDA:
            torch.cuda.empty_cache()
    table(results)


if __name__ == "__main__":
    main()
