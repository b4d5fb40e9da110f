"""BMP: depths, headers, compressions, and headers that lie."""

import io
import struct

import numpy as np
from PIL import Image

SIZES = [(64, 64), (40, 31), (17, 23), (5, 3), (1, 1)]


def pillow(data):
    return lambda: np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def head(width, height, depth, compression=0, size=40, masks=(), palette=b"", colours=0, offset=None,
         planes=1, file_size=None, rows=b"", os2=False):
    if os2:
        info = struct.pack("<IHHHH", 12, width, height, planes, depth)
    else:
        info = struct.pack("<IiiHHIIiiII", size, width, height, planes, depth, compression, len(rows), 3779,
                           3779, colours, 0)
        inside = b"".join(struct.pack("<I", mask) for mask in masks)
        if size > 40:
            info += inside.ljust(size - 40, b"\0")
        else:
            info += inside
    start = 14 + len(info) + len(palette)
    whole = start + len(rows) if file_size is None else file_size
    return (b"BM" + struct.pack("<IHHI", whole, 0, 0, start if offset is None else offset) + info + palette + rows)


def stored(rows, top_down):
    rows = rows if top_down else rows[::-1]
    return b"".join(row + bytes(-len(row) % 4) for row in rows)


def indexed(picture, colours):
    image = Image.fromarray(picture).quantize(colours)
    palette = np.array(image.getpalette()[: colours * 3] + [0] * 768, np.uint8)[: colours * 3].reshape(-1, 3)
    indices = np.minimum(np.array(image), colours - 1)
    return indices, palette


def packed(indices, bits):
    rows = []
    for row in indices:
        levels = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
        rows.append(np.packbits(levels.reshape(-1)).tobytes())
    return rows


def runs(indices, depth, style, end=True):
    """RLE8 or RLE4 of rows from the bottom up."""
    data = bytearray()
    height = len(indices)
    for number, row in enumerate(indices[::-1]):
        at = 0
        while at < len(row):
            run = 1
            while at + run < len(row) and run < 255 and row[at + run] == row[at]:
                run += 1
            literal = min(len(row) - at, 255, 37)
            if style == "spare half" and run > 1 and run % 2 and at + run == len(row):
                # The last byte holds two pixels where the row has one left.
                byte = int(row[at])
                data += bytes([run + 1, byte << 4 | byte])
                at += run
            elif style == "literal" and literal > 2 and run < 4:
                part = [int(index) for index in row[at : at + literal]]
                data += bytes([0, literal])
                if depth == 4:
                    part = [a << 4 | b for a, b in zip(part[::2], part[1::2] + [0])]
                data += bytes(part) + bytes(len(part) % 2)
                at += literal
            else:
                byte = int(row[at])
                data += bytes([run, byte << 4 | byte if depth == 4 else byte])
                at += run
        if end or number < height - 1:
            data += b"\0\0"
    return bytes(data + (b"\0\1" if end else b""))


def write(book, cell):
    for seed, (height, width) in enumerate(SIZES):
        picture = cell(height, width, seed)
        bgr = picture[..., ::-1]
        for top_down in (False, True):
            tall = -height if top_down else height
            rows24 = stored([row.tobytes() for row in bgr], top_down)
            bgrx = np.dstack([bgr, np.full((height, width), 77, np.uint8)])
            rows32 = stored([row.tobytes() for row in bgrx], top_down)
            for size in (40, 52, 56, 108, 124):
                book.add("BMP 24 bit", "bmp", head(width, tall, 24, size=size, rows=rows24), picture)
                book.add("BMP 32 bit", "bmp", head(width, tall, 32, size=size, rows=rows32), picture)
                masks = (0xFF0000, 0xFF00, 0xFF, 0)
                masked = head(width, tall, 32, 3, size, masks[:3] if size <= 52 else masks, rows=rows32)
                book.add("BMP 32 bit, masks", "bmp", masked, picture)
                rgbx = stored([row.tobytes() for row in np.dstack([picture, bgrx[..., 3]])], top_down)
                masks = (0xFF, 0xFF00, 0xFF0000, 0)
                masked = head(width, tall, 32, 3, size, masks[:3] if size <= 52 else masks, rows=rgbx)
                book.add("BMP 32 bit, masks", "bmp", masked, picture)
            opaque = stored([row.tobytes() for row in np.dstack([bgr, 0 * bgr[..., 0] + 128])], top_down)
            over = ((picture.astype(int) * 128 + 127) // 255).astype(np.uint8)
            for size in (56, 108, 124):
                masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
                book.add("BMP opacity", "bmp", head(width, tall, 32, 3, size, masks, rows=opaque), over)
                book.add("BMP opacity", "bmp", head(width, tall, 32, 6, size, masks, rows=opaque), over)
                # Pillow takes masks that are all zero for these.
                book.add("BMP opacity", "bmp", head(width, tall, 32, 3, size, (0,) * 4, rows=opaque), over)
            book.add("BMP opacity", "bmp", head(width, tall, 32, 6, 40, masks, rows=opaque), over)
            behind = head(width, tall, 32, 6, 52, masks[:3], struct.pack("<I", masks[3]), rows=opaque)
            book.add("BMP opacity", "bmp", behind, over)
            book.add("BMP opacity", "bmp", head(width, tall, 32, 6, 52, masks[:3], rows=opaque), picture)
            for size in (40, 52, 56, 108, 124):
                data = head(width, tall, 24, 3, size, masks[:3], rows=rows24)
                book.add("BMP 24 bit, masks", "bmp", data, picture)
            for bits, masks in ((15, (0x7C00, 0x3E0, 0x1F)), (16, (0xF800, 0x7E0, 0x1F))):
                r, g, b = (picture[..., channel].astype(np.uint16) for channel in range(3))
                deep = (r >> 3) << 10 | (g >> 3) << 5 | b >> 3 if bits == 15 else (r >> 3) << 11 | (g >> 2) << 5 | b >> 3
                rows = stored([row.astype("<u2").tobytes() for row in deep], top_down)
                data = head(width, tall, 16, 3, masks=masks, rows=rows)
                book.add("BMP 16 bit", "bmp", data, pillow(data))
                data = head(width, tall, 16, 3, 56, masks + (0,), rows=rows)
                book.add("BMP 16 bit", "bmp", data, pillow(data))
                flagged = deep | (deep % 3 == 0) << 15 if bits == 15 else deep
                rows = stored([row.astype("<u2").tobytes() for row in flagged], top_down)
                data = head(width, tall, 16, 3, 56, masks + (0x8000 * (bits == 15),), rows=rows)
                book.add("BMP 16 bit", "bmp", data, pillow(data))
                if bits == 15:
                    data = head(width, tall, 16, rows=rows)
                    book.add("BMP 16 bit", "bmp", data, pillow(data))
            for depth in (1, 2, 4, 8):
                indices, palette = indexed(picture, 1 << depth)
                expected = palette[indices]
                entries = b"".join(bytes(entry[::-1]) + b"\0" for entry in palette)
                rows = stored(packed(indices, depth), top_down)
                for colours in (0, 1 << depth):
                    data = head(width, tall, depth, colours=colours, palette=entries, rows=rows)
                    book.add(f"BMP {depth} bit", "bmp", data, expected)
                used = int(indices.max()) + 1
                data = head(width, tall, depth, colours=used, palette=entries[: used * 4], rows=rows)
                book.add(f"BMP {depth} bit", "bmp", data, expected)
                if not top_down:
                    core = b"".join(bytes(entry[::-1]) for entry in palette)
                    data = head(width, height, depth, palette=core, rows=rows, os2=True)
                    book.add(f"BMP {depth} bit", "bmp", data, expected)
        data = head(width, height, 24, rows=stored([row.tobytes() for row in bgr], False), os2=True)
        book.add("BMP 24 bit", "bmp", data, picture)
        run_variants(book, picture)
        lies(book, picture)


def run_variants(book, picture):
    height, width = picture.shape[:2]
    for depth, compression in ((8, 1), (4, 2)):
        indices, palette = indexed(picture, 1 << depth)
        expected = palette[indices]
        entries = b"".join(bytes(entry[::-1]) + b"\0" for entry in palette)
        for style in ("runs", "literal") + ("spare half",) * (depth == 4):
            whole = runs(indices, depth, style)
            make = lambda rows: head(width, height, depth, compression, palette=entries, rows=rows)
            book.add("BMP runs", "bmp", make(whole), expected)
            book.add("BMP runs", "bmp", make(runs(indices, depth, style, end=False)), expected)
            book.add("BMP runs", "bmp", make(whole + b"rest"), expected)
            if height < 3:
                continue
            for share in (0.1, 0.5, 0.9):
                short = whole[: min(int(len(whole) * share), len(whole) - 6) // 2 * 2]
                book.add("BMP runs, cut", "bmp", make(short), demand="refuse")
            for rows in (1, height // 2, height - 1):
                early = runs(indices[-rows:], depth, style)
                book.add("BMP runs, end code too early", "bmp", make(early), demand="refuse")
            beyond = bytes([255, 0]) * (width // 255 + 1) + whole
            book.add("BMP runs, out of the row", "bmp", make(beyond), demand="refuse")


def lies(book, picture):
    height, width = picture.shape[:2]
    rows = stored([row.tobytes() for row in picture[..., ::-1]], False)
    good = head(width, height, 24, rows=rows)
    for change in (dict(planes=0), dict(planes=3), dict(file_size=0), dict(file_size=len(good) + 2),
                   dict(file_size=10), dict(file_size=2**31)):
        book.add("BMP header that lies", "bmp", head(width, height, 24, rows=rows, **change), picture)
    book.add("BMP pixels inside the header", "bmp", head(width, height, 24, rows=rows, offset=0), picture)
    for offset in (1, 14, 30, 50, 53):
        data = head(width, height, 24, rows=rows, offset=offset)
        book.add("BMP pixels inside the header", "bmp", data, demand="refuse")
    gap = good[:10] + struct.pack("<I", 61) + good[14:54] + b"\xaa" * 7 + rows
    book.add("BMP gap before the pixels", "bmp", gap, picture)
    padding = -width * 3 % 4
    if padding:
        book.add("BMP without the last row's padding", "bmp", good[:-padding], picture)
        book.add("BMP without the last row's padding", "bmp", good[:-1], picture)
    for cut in {padding + 1, len(rows) // 2, len(rows)} - set(range(padding + 1)):
        book.add("BMP cut", "bmp", good[:-cut], demand="refuse")
    for end in (1, 2, 13, 20, 30, 53):
        book.add("BMP cut", "bmp", good[:end], demand="refuse")
    for compression, depth in ((4, 24), (5, 24), (1, 24), (2, 8), (9, 8), (0, 17), (0, 64)):
        data = head(width, height, depth, compression, rows=rows * 8)
        book.add("BMP kinds that are refused", "bmp", data, demand="refuse")
