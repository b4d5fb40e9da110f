#!/usr/bin/env python3
"""Cuts and draws what the embedded model was not made for: the images of the table in README.md.

    python3 models/others.py FIELDS CELLS OUT

FIELDS holds `bccd/` (Shenggan/BCCD_Dataset: Annotations, JPEGImages) and `zxaoyou/` (zxaoyou/segmentation_WBC: dataset1, dataset2);
CELLS a fold of C-NMC (all/, hem/). OUT gets one folder a kind, 450 x 450 BMP files. The images are not this project's:
never commit them. Needs numpy and Pillow. The same inputs give the same files.
"""

import sys
import xml.etree.ElementTree as tree
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 450


def on_black(picture, mask=None):
    """The picture in the middle of a black frame."""
    frame = Image.new("RGB", (SIDE, SIDE))
    frame.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2), mask)
    return frame


def scaled(picture, by):
    size = [max(2, min(SIDE, int(side * by))) for side in picture.size]
    return picture.resize(size, Image.Resampling.BICUBIC)


def cut(picture):
    """The ellipse that fills the picture, on black: as a segmented cell stands."""
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).ellipse((0, 0, picture.width - 1, picture.height - 1), fill=255)
    return on_black(picture, mask)


def smears(fields, dice):
    """Boxes of red cells, white cells and platelets, as they are and enlarged to the scale of C-NMC's cells."""
    boxes = {"RBC": [], "WBC": [], "Platelets": []}
    for annotation in sorted((fields / "bccd/Annotations").glob("*.xml")):
        image = fields / "bccd/JPEGImages" / f"{annotation.stem}.jpg"
        for thing in tree.parse(annotation).findall("object"):
            box = [int(float(thing.find("bndbox").findtext(key))) for key in ("xmin", "ymin", "xmax", "ymax")]
            if min(box[2] - box[0], box[3] - box[1]) >= 8:
                boxes[thing.findtext("name")].append((image, box))
    for kind, found in boxes.items():
        for at in dice.permutation(len(found))[:250]:
            image, box = found[at]
            cell = Image.open(image).convert("RGB").crop(box)
            for by in (1.0, 1.7):
                yield f"{kind}-{by}", cut(scaled(cell, by))
    for image in sorted((fields / "bccd/JPEGImages").glob("*.jpg"))[:60]:
        yield "fields", Image.open(image).convert("RGB").resize((450, 338))


def masked(fields):
    """White cells cut by the masks that people drew."""
    for part, by in (("dataset1", 1.7), ("dataset2", 1.0)):
        for mask in sorted((fields / "zxaoyou" / part).glob("*_mask.png")):
            cell = Image.open(mask.with_name(mask.name.replace("_mask", "_img"))).convert("RGB")
            inside = Image.open(mask).convert("L").point(lambda level: 255 if level > 60 else 0)
            yield f"masked-{part}", on_black(scaled(on_black_as(cell, inside), by))


def on_black_as(picture, mask):
    frame = Image.new("RGB", picture.size)
    frame.paste(picture, (0, 0), mask)
    return frame


def drawn(dice):
    for _ in range(50):
        yield "blank", Image.fromarray(np.full((SIDE, SIDE, 3), dice.integers(0, 256, 3), np.uint8))
        yield "noise", Image.fromarray(dice.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        disc, radius = Image.new("RGB", (SIDE, SIDE)), int(dice.integers(70, 120))
        colour = tuple(int(level) for level in dice.integers(60, 256, 3))
        ImageDraw.Draw(disc).ellipse((225 - radius, 225 - radius, 225 + radius, 225 + radius), fill=colour)
        yield "discs", disc


def own(cells, dice):
    """C-NMC's own cells behind a blur, and two of them in one picture."""
    files = sorted(path for label in ("all", "hem") for path in (cells / label).iterdir())
    for at in dice.permutation(len(files))[:150]:
        yield "blurred", Image.open(files[at]).convert("RGB").filter(ImageFilter.GaussianBlur(6))
    chosen = [files[at] for at in dice.permutation(len(files))[:160]]
    for one, other in zip(chosen[::2], chosen[1::2]):
        one, other = (np.asarray(Image.open(path).convert("RGB")) for path in (one, other))
        one, other = np.roll(one, -60, 1), np.roll(other, int(dice.integers(120, 200)), 1)
        yield "two-cells", Image.fromarray(np.where(one > 10, one, other))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    fields, cells, out = map(Path, sys.argv[1:])
    dice = np.random.default_rng(1)
    counts = {}
    for kinds in (smears(fields, dice), masked(fields), drawn(dice), own(cells, dice)):
        for kind, picture in kinds:
            folder = out / kind
            folder.mkdir(parents=True, exist_ok=True)
            counts[kind] = counts.get(kind, 0) + 1
            picture.save(folder / f"{counts[kind]:04}.bmp")
    for kind, count in counts.items():
        print(f"{kind}: {count}")


if __name__ == "__main__":
    main()
