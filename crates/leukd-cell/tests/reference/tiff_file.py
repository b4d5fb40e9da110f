"""TIFF files of pages, each with its tags and its strips or tiles."""

import struct
import zlib

import imagecodecs
import numpy as np

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
