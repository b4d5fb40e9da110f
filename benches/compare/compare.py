#!/usr/bin/env python3
"""leukd beside ONNX Runtime, OpenVINO and TensorFlow: the same network, the same numbers in, in turns.

For Research Use Only. Not for use in diagnostic procedures.

Each engine is a process that is started once; rounds of about 150 ms go from one to the next, and who begins changes from
round to round. What is told is the median over rounds of an engine's time by ONNX Runtime's in the same round.

    python3 -m venv /tmp/compare && /tmp/compare/bin/pip install -r benches/compare/requirements.txt
    cargo build --release
    /tmp/compare/bin/python benches/compare/compare.py --json compare.json
    /tmp/compare/bin/python benches/compare/compare.py --size 224 --threads 1
    /tmp/compare/bin/python benches/compare/compare.py --rounds 0 --images C-NMC/fold_1 --agreement 500
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnx

import bundles

HERE = Path(__file__).resolve().parent
REFERENCE = "onnxruntime"
ROUND_MS = 150.0


class Engine:
    """One engine at so many cells at once: one process with so many workers, or so many processes side by side."""

    def __init__(self, name: str, commands: list[list[str]], share: int) -> None:
        self.name, self.share = name, share
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        self.children = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                bufsize=1, env=environment,
            )
            for command in commands
        ]
        self.about = [self.line(child) for child in self.children][0]
        self.cells, self.each = 1, []

    def line(self, child: subprocess.Popen) -> str:
        text = child.stdout.readline()
        if not text:
            sys.exit(f"{self.name} ended with {child.wait()}: run it by hand to see why: {' '.join(child.args)}")
        return text.strip()

    def ask(self, text: str) -> list[str]:
        for child in self.children:
            child.stdin.write(text + "\n")
            child.stdin.flush()
        return [self.line(child) for child in self.children]

    def round(self) -> float:
        """Milliseconds a cell. Processes side by side end with the slowest of them."""
        return max(float(answer) for answer in self.ask(f"round {self.cells}")) / self.share

    def calibrate(self) -> None:
        self.round()
        self.cells = max(1, round(ROUND_MS / (self.round() * self.share)))

    def close(self) -> None:
        for child in self.children:
            child.stdin.close()
            child.wait(60)


def engines(options, files: dict, threads: int, temperature: float) -> list[Engine]:
    def leukd(kind: str) -> Engine:
        command = [*files["leukd"], "--engine", kind, "--threads", str(threads), "--serve-rounds"]
        # Its rounds divide by all cells already.
        return Engine(f"leukd-{kind}", [command], 1)

    def other(name: str, kind: str, model: str, intra: int = 1) -> Engine:
        command = [sys.executable, str(HERE / "workers.py"), kind, model, files["inputs"], str(intra), str(temperature)]
        count = 1 if intra > 1 else threads
        return Engine(name, [command] * count, count)

    known = {
        REFERENCE: lambda: other(REFERENCE, "onnxruntime", files["f32"]),
        "leukd-fused": lambda: leukd("fused"),
        "leukd-stock": lambda: leukd("stock"),
        # The bundle as it is stored: whether its own folding leaves anything to do in a run.
        "onnxruntime-stored": lambda: other("onnxruntime-stored", "onnxruntime", files["bundle"]),
        "openvino": lambda: other("openvino", "openvino", files["f32"]),
        "tensorflow": lambda: other("tensorflow", "tensorflow", files["f32"]),
    }
    if threads > 1:
        known["onnxruntime-intra"] = lambda: other("onnxruntime-intra", "onnxruntime", files["f32"], threads)
    started = []
    for name, start in known.items():
        package = name.split("-")[0]
        if options.engines and name not in options.engines and name != REFERENCE:
            continue
        if package != "leukd" and importlib.util.find_spec(package) is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
            continue
        started.append(start())
    return started


def measured(running: list[Engine], rounds: int) -> dict:
    for engine in running:
        engine.calibrate()
    for turn in range(rounds):
        for place in range(len(running)):
            engine = running[(turn + place) % len(running)]
            engine.each.append(engine.round())
    base = next(engine for engine in running if engine.name == REFERENCE)
    figures = {}
    for engine in running:
        ratios = [own / other for own, other in zip(engine.each, base.each)]
        lower, middle, upper = statistics.quantiles(ratios, n=4)
        figures[engine.name] = {
            "ms_per_cell_median": statistics.median(engine.each),
            "ms_per_cell_min": min(engine.each),
            "ratio_median": middle,
            "ratio_quartiles": [lower, upper],
            "rounds": rounds,
            "cells_per_round": engine.cells,
            "about": engine.about,
        }
    return figures


def agreement(running: list[Engine], threshold: float, blast: int) -> dict:
    """How far each engine's probabilities lie from those of tract's own operators."""
    answers = {engine.name: json.loads(engine.ask("outputs")[0]) for engine in running}
    stock = answers["leukd-stock"]
    figures = {}
    for name, own in answers.items():
        if own is None or name == "leukd-stock":
            continue
        pairs = [(a[blast], b[blast]) for a, b in zip(own, stock, strict=True)]
        figures[name] = {
            "cells": len(pairs),
            "largest_probability_difference": max(abs(a - b) for a, b in pairs),
            "label_flips": sum((a >= threshold) != (b >= threshold) for a, b in pairs),
        }
    return figures


def prepared(options, folder: str, cells: int) -> tuple[dict, dict]:
    """The files that the engines read, and the bundle's manifest."""
    model = onnx.load(options.model)
    files = {name: str(Path(folder, f"{name}.onnx")) for name in ("bundle", "f32")}
    files["inputs"] = str(Path(folder, f"inputs-{cells}.npy"))
    if options.size:
        model = bundles.resized(model, options.size)
        onnx.save(model, files["bundle"])
        model = bundles.golden_answered(model, lambda images, count: inputs(options, files, images, count))
    about = bundles.manifest(model)
    onnx.save(model, files["bundle"])
    onnx.save(bundles.expanded(model), files["f32"])
    files["leukd"] = [options.leukd, "bench", "--model", files["bundle"], "--cells", str(cells)]
    if options.images:
        files["leukd"] += ["--images", options.images]
    inputs(options, files, options.images, cells)
    return files, about


def inputs(options, files: dict, images: str | None, cells: int) -> numpy.ndarray:
    """The numbers that leukd's own preprocessing gives the network."""
    command = [options.leukd, "bench", "--model", files["bundle"], "--cells", str(cells)]
    command += ["--images", images] if images else []
    run = subprocess.run([*command, "--write-inputs", files["inputs"]], stderr=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return numpy.load(files["inputs"])


def main() -> None:
    root = HERE.parent.parent
    parser = argparse.ArgumentParser(description="leukd's engines beside others, in turns")
    parser.add_argument("--leukd", default=str(root / "target/release/leukd"))
    parser.add_argument("--model", default=str(root / "models/default.onnx"), help="the bundle")
    parser.add_argument("--size", type=int, help="the same network at another input size, for its time alone")
    parser.add_argument("--images", help="a folder of cells; drawn ones without it")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="cells at once")
    parser.add_argument("--rounds", type=int, default=30, help="0: no time is measured; else 2 or more")
    parser.add_argument("--engines", nargs="+", help="these alone, beside ONNX Runtime")
    parser.add_argument("--agreement", type=int, default=0, metavar="N", help="compare probabilities on N cells")
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()
    if options.rounds == 1:
        parser.error("--rounds: write 0, or 2 or more")
    packages = ["onnxruntime", "openvino", "tensorflow-cpu", "numpy"]
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    report = {"versions": versions, "threads": {}}
    print("For Research Use Only. Not for use in diagnostic procedures.", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        for threads in options.threads if options.rounds else []:
            files, about = prepared(options, folder, 8)
            running = engines(options, files, threads, about["calibration"]["temperature"])
            figures = measured(running, options.rounds)
            for engine in running:
                engine.close()
            report["threads"][threads] = figures
            print(f"\n{threads} at once, {about['preprocessing']['size']} px, {options.rounds} rounds: time by {REFERENCE}'s")
            for name, own in figures.items():
                lower, upper = own["ratio_quartiles"]
                print(
                    f"{name:20} {own['ratio_median']:6.3f}  [{lower:.3f}, {upper:.3f}]  "
                    f"{own['ms_per_cell_median']:7.2f} ms, min {own['ms_per_cell_min']:.2f}"
                )
        if options.agreement:
            files, about = prepared(options, folder, options.agreement)
            running = engines(options, files, 1, about["calibration"]["temperature"])
            blast = about["labels"].index("all")
            report["agreement"] = agreement(running, about["calibration"]["threshold"], blast)
            for engine in running:
                engine.close()
            print("\nagreement with leukd-stock")
            for name, own in report["agreement"].items():
                print(
                    f"{name:20} largest |Δ P(all)| {own['largest_probability_difference']:.2e} over {own['cells']} cells, "
                    f"{own['label_flips']} labels flipped"
                )
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
