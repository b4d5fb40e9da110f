#!/usr/bin/env python3
"""Writes variants of drawn cells in every form of BMP, PNG, TIFF and JPEG, with the pixels that the
reference readers give: Pillow with libjpeg-turbo, libtiff, and for lossless forms the array that was
written. `manifest.tsv` lists them for `differential.rs`:

    group, file, demand, tolerance

`read`: the pixels of FILE.rgb. `refuse`: a refusal. `either`: one of both. `any`: no panic.

    variants.py FOLDER [--every N] [--formats bmp,png,tiff,jpeg]     each N-th variant alone
"""

import argparse
import pathlib
import shutil
import struct
import subprocess
import sys

import numpy as np

import bmp_variants
import jpeg_variants
import png_variants
import tiff_variants


class Book:
    """Files with their expected pixels."""

    def __init__(self, folder, every):
        self.folder, self.every = folder, every
        self.count, self.lines, self.checked, self.skipped = 0, [], 0, set()

    def add(self, group, ending, data, pixels=None, demand=None, tolerance=0):
        """One variant. `pixels` is an array of height × width × 3, or a function that makes one."""
        self.count += 1
        if self.count % self.every:
            return
        name = f"{self.count:05}.{ending}"
        (self.folder / name).write_bytes(data)
        if callable(pixels):
            pixels = pixels()
            if pixels is None:
                # The reference fails: leukd may read more, and must not panic.
                demand = "any"
        if pixels is not None:
            height, width = pixels.shape[:2]
            raw = struct.pack("<II", width, height) + np.ascontiguousarray(pixels, np.uint8).tobytes()
            (self.folder / f"{name}.rgb").write_bytes(raw)
        demand = demand or ("refuse" if pixels is None else "read")
        self.lines.append(f"{group}\t{name}\t{demand}\t{tolerance}")

    def tool(self, *command, data=None):
        """A program's output; none where it is not installed or fails."""
        if shutil.which(command[0]) is None:
            self.skipped.add(command[0])
            return None
        done = subprocess.run(command, input=data, capture_output=True)
        return done.stdout if done.returncode == 0 and done.stdout else None


def cell(height, width, seed):
    """A drawn cell on black, its colours from 0 to 255."""
    dice = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    y, x = (y - height / 2 + 0.5) / height, (x - width / 2 + 0.5) / width
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    edge = 0.42 + 0.03 * np.sin(3 * angle + seed) + 0.02 * np.sin(5 * angle)
    grain = dice.normal(0, 9, (height, width, 1)) + 20 * np.sin(19 * x + 23 * y)[..., None]
    body = np.array([176, 158, 206.0]) + grain
    core = np.array([92, 46, 122.0]) + 2 * grain
    picture = np.where((radius < edge * 0.8)[..., None], core, body)
    picture = np.where((radius < edge)[..., None], picture, 0)
    return np.clip(picture, 0, 255).astype(np.uint8)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--every", type=int, default=1)
    arguments.add_argument("--formats", default="bmp,png,tiff,jpeg")
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    book = Book(given.folder, given.every)
    modules = dict(bmp=bmp_variants, png=png_variants, tiff=tiff_variants, jpeg=jpeg_variants)
    for name in given.formats.split(","):
        modules[name].write(book, cell)
    (given.folder / "manifest.tsv").write_text("\n".join(book.lines) + "\n")
    print(f"{len(book.lines)} variants, {book.checked} of them read by libtiff alike")
    for tool in sorted(book.skipped):
        print(f"skipped what needs {tool}: it is not installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
