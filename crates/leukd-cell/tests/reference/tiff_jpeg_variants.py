"""JPEG data in strips and tiles of a TIFF, and TIFF files that Pillow writes."""

import io
import itertools
import struct

import imagecodecs
import numpy as np
from PIL import Image

from tiff_file import BLACK, CMYK, JPEG, RGB, SHORT, YCBCR, page, tiff


def write(add, cell):
    jpegs(add, cell)
    pillow_writes(add, cell)


def jpegs(add, cell):
    """JPEG data in strips and tiles; what libtiff reads is what Pillow reads of the same data."""
    for (height, width), mode, sampling, shared in itertools.product(
            ((64, 64), (40, 31), (16, 16)), ("RGB", "YCbCr", "L", "CMYK"), (0, 1, 2), (False, True)):
        picture = cell(height, width, height)
        if mode in ("L", "CMYK") and sampling:
            continue
        for tile in (None, (16, 16), (32, 32)):
            rows = height if tile is None else tile[0]
            wide = width if tile is None else tile[1]
            parts, tables, pixels = [], None, np.zeros((height, width, 3), np.uint8)
            for y, x in itertools.product(range(0, height, rows), range(0, width, wide)):
                block = picture[y : y + rows, x : x + wide]
                block = np.pad(block, [(0, rows - block.shape[0]), (0, wide - block.shape[1]), (0, 0)], mode="edge")
                data, read = encoded(block, mode, sampling)
                pixels[y : y + rows, x : x + wide] = read[: height - y, : width - x]
                if shared:
                    tables, data = split(data)
                parts.append(data)
            kind = {"RGB": RGB, "YCbCr": YCBCR, "L": BLACK, "CMYK": CMYK}[mode]
            channels = {"L": 1, "CMYK": 4}.get(mode, 3)
            found = page(np.repeat(picture[..., :1], channels, 2), kind, tile=tile)
            found["data"], found[259] = parts, (SHORT, [JPEG])
            if mode == "YCbCr":
                found[530] = (SHORT, {0: [1, 1], 1: [2, 1], 2: [2, 2]}[sampling])
            if tables:
                found[347] = (7, list(tables))
            add(f"JPEG, {mode}", tiff([found]), pixels)
            no_end = dict(found)
            no_end["data"] = [part.removesuffix(b"\xff\xd9") for part in parts]
            add("JPEG, no end marker", tiff([no_end]), pixels)
            if mode == "YCbCr" and sampling:
                # libtiff refuses it.
                add("JPEG, luma and chroma called RGB", tiff([dict(found) | {262: (SHORT, [RGB])}]), demand="refuse")
            cut = dict(found)
            cut["data"] = [parts[0][: len(parts[0]) * 2 // 3] + b"\xff\xd9"] + parts[1:]
            add("JPEG, cut", tiff([cut]), demand="refuse")


def encoded(block, mode, sampling):
    """A JPEG of the block, and its pixels by libjpeg."""
    if mode == "RGB":
        # Stored without a change of colours.
        data = imagecodecs.jpeg8_encode(block, level=90, colorspace="RGB", outcolorspace="RGB", subsampling="444")
        return data, imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
    image = Image.fromarray(block)
    if mode == "YCbCr":
        out = io.BytesIO()
        image.save(out, "JPEG", quality=90, subsampling=sampling)
        return out.getvalue(), np.array(Image.open(out).convert("RGB"))
    if mode == "L":
        out = io.BytesIO()
        image.convert("L").save(out, "JPEG", quality=90)
        return out.getvalue(), np.array(Image.open(out).convert("RGB"))
    inks = np.dstack([255 - block, block[..., 0] // 3])
    data = imagecodecs.jpeg8_encode(inks, level=90, colorspace="CMYK", outcolorspace="CMYK")
    light = 255 - imagecodecs.jpeg8_decode(data, colorspace="CMYK", outcolorspace="CMYK").astype(int)
    return data, (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)


def split(data):
    """Tables and the rest of a JPEG, each a stream of its own."""
    tables, rest, at = b"\xff\xd8", b"\xff\xd8", 2
    while data[at + 1] != 0xDA:
        length = struct.unpack_from(">H", data, at + 2)[0] + 2
        segment, at = data[at : at + length], at + length
        if segment[1] in (0xC4, 0xDB):
            tables += segment
        else:
            rest += segment
    return tables + b"\xff\xd9", rest + data[at:]


def pillow_writes(add, cell):
    """Files of another writer: Pillow with libtiff."""
    for compression, mode, (height, width) in itertools.product(
            ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"), ("RGB", "L", "P", "1", "CMYK", "RGBA", "LA"),
            ((64, 64), (33, 17), (200, 150))):
        image = Image.fromarray(cell(height, width, 9))
        image = image.quantize(64) if mode == "P" else image.convert(mode)
        out = io.BytesIO()
        image.save(out, "TIFF", compression=compression)
        if mode == "CMYK":
            light = 255 - np.array(image).astype(int)
            pixels = (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
        else:
            pixels = np.array(image.convert("RGB"))
        add("as Pillow writes it", out.getvalue(), pixels, check=mode != "P")
