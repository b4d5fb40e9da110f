"""TIFF: compression × predictor × planes × strips and tiles × depth × samples × byte order, classic and
BigTIFF; directories that lie; pages. Where Debian's libtiff-tools are installed, libtiff reads each variant
that it can turn into RGB, and must agree with the array that was written."""

import itertools
import pathlib
import struct
import tempfile

import numpy as np
from PIL import Image

import tiff_jpeg_variants
from png_variants import over, turned
from tiff_file import (BLACK, CMYK, DEFLATE, LONG, LZW, NONE, OLD_DEFLATE, PACKBITS, PALETTE, RATIONAL, RGB, SHORT,
                       WHITE, YCBCR, pack, page, tiff)

SIZES = [(64, 64), (31, 16), (40, 40), (17, 23), (5, 3), (1, 1)]


def level16(numbers):
    return ((numbers.astype(int) + 128) // 257).astype(np.uint8)


def grey3(levels):
    return np.repeat(levels, 3, axis=2)


class Libtiff:
    """libtiff's own reading, by its program tiff2rgba."""

    def __init__(self, book):
        self.book, self.folder = book, pathlib.Path(tempfile.mkdtemp())

    def check(self, group, data, pixels, tolerance):
        one, other = self.folder / "one.tif", self.folder / "other.tif"
        one.write_bytes(data)
        other.unlink(missing_ok=True)
        self.book.tool("tiff2rgba", "-n", "-c", "none", str(one), str(other))
        if not other.exists():
            return
        read = np.array(Image.open(other))
        if read.shape != pixels.shape or np.abs(read.astype(int) - pixels).max() > tolerance:
            raise SystemExit(f"TIFF {group}: libtiff reads {one} otherwise than it was written")
        self.book.checked += 1


def write(book, cell):
    libtiff = Libtiff(book)

    def add(group, data, pixels=None, demand=None, tolerance=0, check=True):
        if check and pixels is not None and (book.count + 1) % book.every == 0:
            libtiff.check(group, data, pixels, tolerance)
        book.add(f"TIFF {group}", "tif", data, pixels, demand, tolerance)

    for seed, (height, width) in enumerate(SIZES):
        picture = cell(height, width, 200 + seed)
        matrix(add, picture)
        kinds(add, picture, cell, seed)
        lies(add, picture)
    pages(add, cell)
    tiff_jpeg_variants.write(add, cell)


def matrix(add, picture):
    deep = picture.astype(np.uint16) * 257 - (picture.astype(np.uint16) % 7) * (picture > 9)
    forms = itertools.product((NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS), (1, 2), (False, True),
                              (None, (16, 16), (32, 48)), (8, 16), ("<", ">"))
    for number, (compression, predictor, planar, tile, bits, order) in enumerate(forms):
        if predictor == 2 and compression in (NONE, PACKBITS):
            continue
        samples, pixels = (picture, picture) if bits == 8 else (deep, level16(deep))
        name = {NONE: "uncompressed", LZW: "LZW", PACKBITS: "PackBits"}.get(compression, "deflate")
        rows = (None, 1, 3)[number % 3] if tile is None else None
        form = dict(bits=bits, compression=compression, predictor=predictor, planar=planar, tile=tile, rows=rows, order=order)
        big = number % 4 == 0
        add(f"{name}, RGB {bits} bit", tiff([page(samples, RGB, **form)], order, big), pixels)
        extra = np.dstack([samples, np.indices(picture.shape[:2]).sum(0).astype(samples.dtype) * 3])
        add(f"{name}, extra sample", tiff([page(extra, RGB, t338=(SHORT, [0]), **form)], order, big), pixels)
        grey = samples[..., :1]
        add(f"{name}, grey {bits} bit", tiff([page(grey, BLACK, **form)], order, big), grey3(pixels[..., :1]),
            check=bits == 8)


def kinds(add, picture, cell, seed):
    height, width = picture.shape[:2]
    grey = picture[..., :1]
    ramp = (np.indices((height, width)).sum(0)[..., None] * 37 % 256).astype(np.uint8)
    for compression, tile, planar in itertools.product((NONE, LZW, DEFLATE, PACKBITS), (None, (16, 16)), (False, True)):
        form = dict(compression=compression, tile=tile, planar=planar)
        flat = dict(compression=compression, tile=tile)
        rgba = np.dstack([picture, ramp])
        product = over(picture, ramp, 255)
        add("opacity, associated", tiff([page(np.dstack([product, ramp]), RGB, t338=(SHORT, [1]), **form)]), product)
        add("opacity, unassociated", tiff([page(rgba, RGB, t338=(SHORT, [2]), **form)]), product)
        add("fourth sample undeclared", tiff([page(rgba, RGB, **form)]), picture)
        both = np.dstack([grey, ramp])
        add("grey and opacity", tiff([page(both, BLACK, t338=(SHORT, [2]), **form)]), grey3(over(grey, ramp, 255)), check=False)
        add("grey and opacity", tiff([page(both, BLACK, t338=(SHORT, [0]), **form)]), grey3(grey), check=False)
        add("white is zero", tiff([page(255 - grey, WHITE, **flat)]), grey3(grey))
        for bits in (1, 2, 4, 8):
            colours = 1 << bits
            few = grey >> (8 - bits)
            levels = (few.astype(int) * 255 // (colours - 1)).astype(np.uint8)
            add("grey below 8 bit", tiff([page(few, BLACK, bits, **flat)]), grey3(levels))
            palette = cell(1, colours, seed + bits)[0] | np.arange(colours)[:, None].astype(np.uint8)
            for factor in (257, 256, 1):
                table = (SHORT, [int(level) * factor for level in palette.T.reshape(-1)])
                data = tiff([page(few, PALETTE, bits, t320=table, **flat)])
                # libtiff darkens a table whose low bytes are 0 by one level.
                add("palette", data, palette[few[..., 0]], check=factor == 257)
            if bits == 8:
                clear = tiff([page(np.dstack([few, ramp]), PALETTE, t320=table, t338=(SHORT, [2]), **form)])
                add("palette and opacity", clear, over(palette[few[..., 0]], ramp, 255), check=False)
        inks = np.dstack([255 - picture, ramp // 3])
        light = 255 - inks.astype(int)
        pixels = (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
        add("CMYK", tiff([page(inks, CMYK, **flat)]), pixels)
        clear = tiff([page(np.dstack([inks, ramp]), CMYK, t338=(SHORT, [2]), **form)])
        add("CMYK and opacity", clear, over(pixels, ramp, 255), check=False)
        for several in (picture, np.dstack([picture, picture])):
            extra = (SHORT, [0] * (several.shape[2] - 1))
            add("channels called grey", tiff([page(several, BLACK, **form)]), demand="refuse")
            add("channels called grey", tiff([page(several, BLACK, t338=extra, **form)]), demand="refuse")
        add("FillOrder 2", tiff([page(picture, RGB, reverse=True, **form)]), picture, check=False)
        for h, v in ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)):
            chroma(add, picture, h, v, compression, tile)
    for turn in range(1, 9):
        data = tiff([page(picture, RGB, t274=(SHORT, [turn]))])
        add("orientation", data, turned(picture, turn), check=False)
        xmp = (1, list(b'<rdf:Description tiff:Orientation="%d"/>' % turn))
        add("orientation", tiff([page(picture, RGB, t700=xmp)]), turned(picture, turn), check=False)
    if picture.max() > 99:
        for bits, compression in itertools.product((10, 12, 14), (NONE, DEFLATE)):
            most = (1 << bits) - 1
            raw = (picture.astype(int) * most // 255).astype(np.uint16)
            pixels = ((raw.astype(int) * 255 + most // 2) // most).astype(np.uint8)
            form = dict(bits=16, compression=compression)
            named = tiff([page(raw, RGB, t281=(SHORT, [most] * 3), **form)])
            add("10, 12 and 14 bit in 16, MaxSampleValue", named, pixels, check=False)
            brightest = tiff([page(raw, RGB, t281=(SHORT, [int(raw.max()) & ~1] * 3), **form)])
            add("10, 12 and 14 bit in 16, MaxSampleValue", brightest, demand="refuse")
            wrong = tiff([page(raw, RGB, t281=(SHORT, [255] * 3), **form)])
            add("10, 12 and 14 bit in 16, MaxSampleValue", wrong, demand="refuse")
            add("10, 12 and 14 bit in 16, unnamed", tiff([page(raw, RGB, **form)]), demand="refuse")
            sixteen = tiff([page(raw, RGB, t281=(SHORT, [65535] * 3), **form)])
            add("10, 12 and 14 bit in 16, unnamed", sixteen, demand="refuse")
            for text in (b'<OME><Pixels Type="uint16" SignificantBits="%d"/></OME>\0' % bits,
                         b"ImageJ=1.54f\nmin=0.0\nmax=%d.0\n\0" % most):
                named = tiff([page(raw, RGB, t270=(2, list(text)), **form)])
                add("10, 12 and 14 bit in 16, description", named, pixels, check=False)
            clear = np.dstack([raw, np.full(raw.shape[:2], 40000, np.uint16)])
            whole = most * 65535
            seen = ((raw.astype(object) * 40000 * 255 + whole // 2) // whole).astype(np.uint8)
            for stated in ([most] * 4, [most] * 3 + [65535], [most]):
                named = tiff([page(clear, RGB, t281=(SHORT, stated), t338=(SHORT, [2]), **form)])
                add("10, 12 and 14 bit in 16, opacity", named, seen, check=False)


def chroma(add, picture, h, v, compression, tile):
    """Luma and chroma in groups, as libtiff stores them; libtiff's reading is the reference."""
    height, width = picture.shape[:2]
    ycc = np.array(Image.fromarray(picture).convert("YCbCr"))
    high, wide = tile or (height, width)
    parts = []
    for top, left in itertools.product(range(0, height, high), range(0, width, wide)):
        block = ycc[top : top + high, left : left + wide]
        pad = [(0, -(-high // v) * v - block.shape[0]), (0, -(-wide // h) * h - block.shape[1]), (0, 0)]
        block = np.pad(block, pad, mode="edge")
        data = bytearray()
        for y, x in itertools.product(range(0, block.shape[0], v), range(0, block.shape[1], h)):
            data += block[y : y + v, x : x + h, 0].tobytes() + block[y, x, 1:].tobytes()
        parts.append(pack(compression, bytes(data)))
    found = page(picture, YCBCR, tile=tile, compression=compression, t530=(SHORT, [h, v]),
                 t532=(RATIONAL, [0, 255, 128, 255, 128, 255]))
    found["data"] = parts
    # One pair of chroma samples for the whole group.
    shared = np.repeat(np.repeat(ycc[::v, ::h, 1:], v, 0), h, 1)[:height, :width]
    pixels = libtiff_rgb(np.dstack([ycc[..., :1], shared]))
    # libtiff itself reads past the edge of a group of 4 × 4 that the picture cuts.
    add("luma and chroma", tiff([found]), pixels, check=(h, v) != (4, 4))


def libtiff_rgb(ycc):
    """tif_color.c with the usual coefficients, in its own integers."""
    fixed = lambda value: int(value * 65536 + 0.5)
    f32 = np.float32
    red, green, blue = f32(0.299), f32(0.587), f32(0.114)
    of_red, of_blue = f32(2) - f32(2) * red, f32(2) - f32(2) * blue
    d1, d2 = fixed(of_red), -fixed(red * of_red / green)
    d3, d4 = fixed(of_blue), -fixed(blue * of_blue / green)
    y, cb, cr = (ycc[..., channel].astype(int) for channel in range(3))
    cb, cr = cb - 128, cr - 128
    r = y + ((d1 * cr + 32768) >> 16)
    g = y + ((d4 * cb + 32768 + d2 * cr) >> 16)
    b = y + ((d3 * cb + 32768) >> 16)
    return np.clip(np.dstack([r, g, b]), 0, 255).astype(np.uint8)


def lies(add, picture):
    height, width = picture.shape[:2]
    many = dict(rows=max(1, height // 3))
    for compression, big in itertools.product((NONE, LZW, DEFLATE, PACKBITS), (False, True)):
        one = lambda **tags: tiff([page(picture, RGB, compression=compression, **tags)], big=big)
        group = "strip sizes missing, 0 or too large"
        add(group, one(t279=None), picture, check=False)
        add(group, one(t279=(LONG, [0])), picture, check=False)
        add(group, one(t279=(LONG, [10**9])), picture, check=False)
        parts = len(page(picture, RGB, **many)["data"])
        add(group, one(t279=None, **many), picture, check=False)
        add(group, one(t279=(LONG, [0] * parts), **many), picture, check=False)
        add(group, one(t279=(LONG, [10**9] * parts), **many), picture, check=False)
        good = page(picture, RGB, compression=compression)
        for end in ("self", 7, 10**8, 2**31):
            add("later directory broken", tiff([good], big=big, end=end), picture, check=False)
        whole = tiff([good], big=big)
        for share in range(1, 12):
            add("cut", whole[: len(whole) * share // 12], demand="refuse")
        # Behind the directory's entries stands the pointer to the next one.
        for missing in (1, 8 if big else 4):
            add("no next directory's pointer", whole[:-missing], picture, check=False)
        add("cut", whole[: -9 if big else -5], demand="refuse")
        for tag, kind in ((305, 2), (700, 1), (50000, 1), (270, 2)):
            useless = dict(good)
            useless[tag] = (kind, list(b"of no use to a pixel"))
            whole = tiff([useless], big=big)
            at = whole.rindex(struct.pack("<HH", tag, kind))
            width = 8 if big else 4
            place = at + 4 + width
            outside = whole[:place] + struct.pack("<Q", 10**9)[:width] + whole[place + width :]
            add("useless tag outside the file", outside, picture, check=False)
        short = page(picture, RGB, compression=compression)
        short["data"] = [part[: len(part) // 2] for part in short["data"]]
        add("strip cut in the middle", tiff([short], big=big), demand="refuse")
        unwritten = dict(good)
        unwritten[273] = (LONG, [0])
        add("strip not written", tiff([unwritten], big=big), demand="refuse")
    for compression in (2, 3, 4, 6, 34712, 34925, 50000, 50001, 34887, 99):
        data = page(picture, RGB)
        data[259] = (SHORT, [compression])
        add("kinds that are refused", tiff([data]), demand="refuse")
    for tag, kind in itertools.product((256, 258, 262, 277), (2, 7, 11)):
        mistyped = page(picture, RGB)
        mistyped[tag] = (kind, mistyped[tag][1])
        add("kinds that are refused", tiff([mistyped]), demand="refuse")
    silent = page(picture, RGB)
    del silent[262]
    add("kinds that are refused", tiff([silent]), demand="refuse")
    for tag, value in ((258, [32] * 3), (258, [12] * 3), (258, [8, 8, 16]), (339, [2] * 3), (339, [3] * 3), (262, [8]),
                       (262, [32803]), (262, [9999]), (277, [2]), (277, [0]), (256, [0]), (257, [0]), (256, [100000])):
        data = page(picture, RGB)
        data[tag] = (LONG if max(value) > 65535 else SHORT, value)
        add("kinds that are refused", tiff([data]), demand="refuse")
    floats = page(picture, RGB, compression=DEFLATE)
    floats[317] = (SHORT, [3])
    add("kinds that are refused", tiff([floats]), demand="refuse")


def pages(add, cell):
    full, small, mask = cell(64, 48, 1), cell(32, 24, 2), cell(64, 48, 3)[..., :1] // 129
    for compression, big, order in itertools.product((NONE, LZW, DEFLATE), (False, True), ("<", ">")):
        form = dict(compression=compression, order=order)
        good, reduced = page(full, RGB, **form), page(small, RGB, t254=(LONG, [1]), **form)
        old = page(small, RGB, t255=(SHORT, [2]), **form)
        masked = page(mask, 4, bits=1, t254=(LONG, [4]), order=order)
        for group in ([reduced, good], [good, reduced], [old, good], [masked, good], [reduced, masked, good, reduced]):
            add("reduced or mask page", tiff(group, order, big), full, check=False)
        add("several full pages", tiff([good, good], order, big), demand="refuse")
        add("several full pages", tiff([good, page(small, RGB, t254=(LONG, [2]), **form)], order, big), demand="refuse")
        channels = [page(full[..., [channel]], BLACK, **form) for channel in range(3)]
        add("several full pages", tiff(channels, order, big), demand="refuse")
        stack = (2, list(b"ImageJ=1.54f\nimages=3\nchannels=3\n\0"))
        add("several full pages", tiff([page(full[..., :1], BLACK, t270=stack, **form)], order, big), demand="refuse")
        add("no full page", tiff([reduced], order, big), demand="refuse")
        text = b"<?xml version='1.0'?><OME xmlns='http://www.openmicroscopy.org/Schemas/OME/2016-06'/>\0"
        add("OME", tiff([page(full, RGB, t270=(2, list(text)), **form)], order, big), full)
