"""TIFF: compression × predictor × planes × strips and tiles × depth × samples × byte order, classic and
BigTIFF; directories that lie; pages; JPEG inside. Where Debian's libtiff-tools are installed, libtiff
reads each variant that it can turn into RGB, and must agree with the array that was written."""

import io
import itertools
import pathlib
import struct
import tempfile
import zlib

import imagecodecs
import numpy as np
from PIL import Image

from png_variants import over, turned

SIZES = [(64, 64), (31, 16), (40, 40), (17, 23), (5, 3), (1, 1)]
NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
WHITE, BLACK, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
FORMATS = {1: "B", 2: "B", SHORT: "H", LONG: "I", 7: "B", 11: "f", LONG8: "Q"}


def pack(compression, data):
    if compression == NONE:
        return data
    if compression == LZW:
        return imagecodecs.lzw_encode(data)
    if compression == PACKBITS:
        return imagecodecs.packbits_encode(data)
    return zlib.compress(data)


def values(order, kind, numbers):
    if kind == RATIONAL:
        return b"".join(struct.pack(order + "II", round(number * 10000), 10000) for number in numbers)
    return struct.pack(f"{order}{len(numbers)}{FORMATS[kind]}", *numbers)


def tiff(pages, order="<", big=False, end=0):
    """A file of pages, each a dict of tags (kind, numbers) and a list of strips or tiles under `data`."""
    mark = b"II" if order == "<" else b"MM"
    word, entry_word = ("Q", 8) if big else ("I", 4)
    out = bytearray(mark + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0))))
    pointer = 8 if big else 4
    for page in pages:
        tags = {tag: value for tag, value in page.items() if tag != "data"}
        offsets = []
        for part in page["data"]:
            out += bytes(-len(out) % 2)
            offsets.append(len(out))
            out += part
        where, sizes = (324, 325) if 322 in tags else (273, 279)
        kind = LONG8 if big else LONG
        tags.setdefault(where, (kind, offsets))
        tags.setdefault(sizes, (kind, [len(part) for part in page["data"]]))
        tags = {tag: value for tag, value in tags.items() if value is not None}
        entries = b""
        for tag in sorted(tags):
            kind, numbers = tags[tag]
            raw = values(order, kind, numbers)
            if len(raw) <= entry_word:
                raw = raw.ljust(entry_word, b"\0")
            else:
                out += bytes(-len(out) % 2)
                place, out = len(out), out + raw
                raw = struct.pack(order + word, place)
            entries += struct.pack(order + "HH" + word, tag, kind, len(numbers)) + raw
        out += bytes(-len(out) % 2)
        out[pointer : pointer + entry_word] = struct.pack(order + word, len(out))
        out += struct.pack(order + ("Q" if big else "H"), len(tags)) + entries
        pointer = len(out)
        out += bytes(entry_word)
    out[pointer : pointer + entry_word] = struct.pack(order + word, pointer if end == "self" else end)
    if end == "self":
        first = struct.unpack_from(order + word, out, 8 if big else 4)[0]
        out[pointer : pointer + entry_word] = struct.pack(order + word, first)
    return bytes(out)


def page(samples, photometric, bits=8, compression=NONE, predictor=1, planar=False, tile=None, rows=None,
         order="<", reverse=False, **tags):
    """A page of samples (height × width × channels)."""
    height, width, channels = samples.shape
    planes = [samples[..., [channel]] for channel in range(channels)] if planar else [samples]
    parts = []
    for plane in planes:
        if tile:
            high, wide = tile
            full = np.zeros((-(-height // high) * high, -(-width // wide) * wide, plane.shape[2]), plane.dtype)
            full[:height, :width] = plane
            blocks = [full[y : y + high, x : x + wide] for y in range(0, height, high) for x in range(0, width, wide)]
        else:
            blocks = [plane[y : y + (rows or height)] for y in range(0, height, rows or height)]
        for block in blocks:
            block = block.astype(np.uint16)
            if predictor == 2:
                block = np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1)
            if bits == 16:
                data = block.astype(order + "u2").tobytes()
            elif bits == 8:
                data = block.astype(np.uint8).tobytes()
            else:
                flat = block.reshape(block.shape[0], -1)
                levels = (flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1
                data = np.packbits(levels.reshape(block.shape[0], -1).astype(np.uint8), axis=1).tobytes()
            data = pack(compression, data)
            if reverse:
                data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
            parts.append(data)
    found = {256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * channels),
             259: (SHORT, [compression]), 262: (SHORT, [photometric]), 277: (SHORT, [channels]), "data": parts}
    if predictor != 1:
        found[317] = (SHORT, [predictor])
    if planar:
        found[284] = (SHORT, [2])
    if reverse:
        found[266] = (SHORT, [2])
    if tile:
        found[322], found[323] = (LONG, [tile[1]]), (LONG, [tile[0]])
    elif rows:
        found[278] = (LONG, [rows])
    found.update({int(tag[1:]): value for tag, value in tags.items()})
    return found


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
    jpegs(add, cell)
    pillow_writes(add, cell)


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
        inks = np.dstack([255 - picture, ramp // 3])
        light = 255 - inks.astype(int)
        pixels = (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
        add("CMYK", tiff([page(inks, CMYK, **flat)]), pixels)
        add("FillOrder 2", tiff([page(picture, RGB, reverse=True, **form)]), picture, check=False)
        for h, v in ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)):
            chroma(add, picture, h, v, compression, tile)
    for turn in range(1, 9):
        data = tiff([page(picture, RGB, t274=(SHORT, [turn]))])
        add("orientation", data, turned(picture, turn), check=False)
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
        add("cut", whole[:-1], demand="either" if not big else "refuse", pixels=picture, check=False)
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
        add("no full page", tiff([reduced], order, big), demand="refuse")
        text = b"<?xml version='1.0'?><OME xmlns='http://www.openmicroscopy.org/Schemas/OME/2016-06'/>\0"
        add("OME", tiff([page(full, RGB, t270=(2, list(text)), **form)], order, big), full)


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
