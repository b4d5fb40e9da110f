"""PNG: colour types, depths, interlacing, transparency, significant bits, and cuts."""

import struct
import zlib

import numpy as np

SIZES = [(64, 64), (31, 40), (9, 7), (3, 5), (1, 1)]
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(samples, bits, kind):
    """Rows of samples (height × width × channels) with a filter each."""
    height, width, channels = samples.shape
    if bits == 16:
        rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        flat = samples.reshape(height, width)
        rows = np.packbits(((flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(height, -1).astype(np.uint8), axis=1)
    step = max(1, channels * bits // 8)
    data, above = bytearray(), np.zeros(rows.shape[1], int)
    for number, row in enumerate(rows.astype(int)):
        use = kind if kind < 5 else number % 5
        left = np.concatenate([np.zeros(step, int), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, int), above])[: len(row)]
        guess = left + above - corner
        near = [abs(guess - left), abs(guess - above), abs(guess - corner)]
        paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], above, corner))
        done = [row, row - left, row - above, row - (left + above) // 2, row - paeth][use]
        data += bytes([use]) + (done & 255).astype(np.uint8).tobytes()
        above = row
    return bytes(data)


def png(samples, bits, kind, interlaced=False, extra=(), filters=5, pieces=1, raw=None, packed=None):
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, int(interlaced))
    if raw is None:
        if interlaced:
            parts = [samples[y::dy, x::dx] for y, x, dy, dx in PASSES]
            raw = b"".join(filtered(part, bits, filters) for part in parts if part.size)
        else:
            raw = filtered(samples, bits, filters)
    packed = packed or zlib.compress(raw)
    size = -(-len(packed) // pieces)
    data = b"".join(chunk(b"IDAT", packed[at : at + size]) for at in range(0, len(packed), size))
    before = b"".join(chunk(*part) for part in extra)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + data + chunk(b"IEND", b"")


def level16(values):
    return ((values.astype(int) + 128) // 257).astype(np.uint8)


def over(colours, opacity, most):
    product = colours.astype(object) * opacity.astype(object) * 255
    return ((product + most * most // 2) // (most * most)).astype(np.uint8)


def write(book, cell):
    for seed, (height, width) in enumerate(SIZES):
        picture = cell(height, width, 100 + seed)
        deep = picture.astype(np.uint16) * 257 - (picture.astype(np.uint16) % 7) * (picture > 9)
        grey, deep_grey = picture[..., 1:2], deep[..., 1:2]
        opacity = np.indices((height, width)).sum(0)[..., None] * 37 % 256
        grey3 = lambda levels: np.repeat(levels, 3, axis=2)
        for interlaced in (False, True):
            for filters in range(6):
                # A picture so dark that its depth is unsure may be refused.
                demand = lambda form: "either" if form[1] == 16 and form[0][..., 0].max() < 1 << 14 else None
                add = lambda group, *form, pixels, **more: book.add(
                    f"PNG {group}", "png", png(*form, interlaced, filters=filters, **more), pixels, demand(form))
                add("RGB 8 bit", picture, 8, RGB, pixels=picture)
                add("RGB 16 bit", deep, 16, RGB, pixels=level16(deep))
                add("grey 8 bit", grey, 8, GREY, pixels=grey3(grey))
                add("grey 16 bit", deep_grey, 16, GREY, pixels=grey3(level16(deep_grey)))
                for bits in (1, 2, 4):
                    few = grey >> (8 - bits)
                    pixels = grey3((few.astype(int) * 255 // ((1 << bits) - 1)).astype(np.uint8))
                    add(f"grey {bits} bit", few, bits, GREY, pixels=pixels)
                    key = few[height // 2, width // 2]
                    shown = np.where(few == key, 0, pixels)
                    add(f"grey {bits} bit, one level transparent", few, bits, GREY, pixels=shown,
                        extra=[(b"tRNS", bytes([0, int(key[0])]))])
                rgba = np.dstack([picture, opacity])
                add("RGB and opacity 8 bit", rgba, 8, RGBA, pixels=over(picture, opacity, 255))
                add("grey and opacity 8 bit", np.dstack([grey, opacity]), 8, GREY_ALPHA,
                    pixels=grey3(over(grey, opacity, 255)))
                wide = opacity * 257
                add("RGB and opacity 16 bit", np.dstack([deep, wide]), 16, RGBA, pixels=over(deep, wide, 65535))
                add("grey and opacity 16 bit", np.dstack([deep_grey, wide]), 16, GREY_ALPHA,
                    pixels=grey3(over(deep_grey, wide, 65535)))
                for bits in (1, 2, 4, 8):
                    colours = 1 << bits
                    palette = cell(1, colours, seed + bits)[0] | np.arange(colours)[:, None].astype(np.uint8)
                    indices = (picture[..., :1].astype(int) * colours // 256)
                    entries = (b"PLTE", palette.astype(np.uint8).tobytes())
                    add(f"palette {bits} bit", indices, bits, PALETTE, pixels=palette[indices[..., 0]], extra=[entries])
                    clear = np.arange(colours) * 255 // max(1, colours - 1)
                    pixels = over(palette[indices[..., 0]], clear[indices[..., 0]][..., None], 255)
                    add(f"palette {bits} bit, transparent", indices, bits, PALETTE, pixels=pixels,
                        extra=[entries, (b"tRNS", bytes(clear.astype(np.uint8)))])
                key = picture[height // 2, width // 2]
                shown = np.where((picture == key).all(2, keepdims=True), 0, picture)
                add("RGB 8 bit, one colour transparent", picture, 8, RGB, pixels=shown,
                    extra=[(b"tRNS", struct.pack(">HHH", *key))])
        for pieces in (2, 7):
            book.add("PNG in several pieces", "png", png(picture, 8, RGB, pieces=pieces), picture)
        extra = [(b"gAMA", struct.pack(">I", 45455)), (b"pHYs", bytes(9)), (b"tEXt", b"Software\0microscope")]
        book.add("PNG with other chunks", "png", png(picture, 8, RGB, extra=extra), picture)
        for turn in range(1, 9):
            exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack("<I", turn) + bytes(4)
            upright = turned(picture, turn)
            book.add("PNG orientation", "png", png(picture, 8, RGB, extra=[(b"eXIf", exif)]), upright)
            for text in orientation_texts(turn, exif):
                book.add("PNG orientation", "png", png(picture, 8, RGB, extra=[text]), upright)
        depth(book, picture)
        cuts(book, picture)


def orientation_texts(turn, exif):
    """A profile as ImageMagick writes it, and XMP, each plain and compressed."""
    digits = (b"Exif\0\0" + exif).hex()
    profile = f"\nexif\n{len(digits) // 2:8}\n".encode() + b"\n".join(
        digits[at : at + 72].encode() for at in range(0, len(digits), 72)) + b"\n"
    xmp = b'<rdf:Description tiff:Orientation="%d"/>' % turn
    return [(b"tEXt", b"Raw profile type exif\0" + profile),
            (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
            (b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + zlib.compress(xmp))]


def turned(picture, turn):
    """As Pillow's exif_transpose."""
    flips = {1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
             5: lambda p: p.transpose(1, 0, 2), 6: lambda p: np.rot90(p, -1),
             7: lambda p: p[::-1, ::-1].transpose(1, 0, 2), 8: lambda p: np.rot90(p)}
    return flips[turn](picture)


def depth(book, picture):
    if picture.max() < 100:
        return
    for bits in (10, 12, 14):
        most = (1 << bits) - 1
        raw = (picture.astype(int) * most // 255).astype(np.uint16)
        named = [(b"sBIT", bytes([bits] * 3))]
        pixels = ((raw.astype(int) * 255 + most // 2) // most).astype(np.uint8)
        book.add("PNG 10, 12 and 14 bit in 16, sBIT", "png", png(raw, 16, RGB, extra=named), pixels)
        scaled = raw << (16 - bits) | raw >> (2 * bits - 16)
        book.add("PNG 10, 12 and 14 bit in 16, sBIT", "png", png(scaled, 16, RGB, extra=named), level16(scaled))
        dark = raw // (1 << (bits - 4)) << (16 - bits)
        book.add("PNG 10, 12 and 14 bit in 16, sBIT", "png", png(dark, 16, RGB, extra=named), level16(dark))
        book.add("PNG 10, 12 and 14 bit in 16, unnamed", "png", png(raw, 16, RGB), demand="refuse")
        sixteen = [(b"sBIT", bytes([16] * 3))]
        book.add("PNG 10, 12 and 14 bit in 16, unnamed", "png", png(raw, 16, RGB, extra=sixteen), demand="refuse")
        opacity = np.full(raw.shape[:2] + (1,), 40000, np.uint16)
        named = [(b"sBIT", bytes([bits] * 3 + [16]))]
        whole = most * 65535
        pixels = ((raw.astype(object) * 40000 * 255 + whole // 2) // whole).astype(np.uint8)
        book.add("PNG 10, 12 and 14 bit in 16, sBIT", "png", png(np.dstack([raw, opacity]), 16, RGBA, extra=named), pixels)


def cuts(book, picture):
    whole = png(picture, 8, RGB)
    for share in range(1, 20):
        book.add("PNG cut", "png", whole[: len(whole) * share // 20], demand="refuse")
    height = picture.shape[0]
    raw = filtered(picture, 8, 1)
    stride = len(raw) // height
    for rows in {0, height // 2, height - 1} - {height}:
        book.add("PNG with rows missing", "png", png(picture, 8, RGB, raw=raw[: rows * stride]), demand="refuse")
    book.add("PNG with rows missing", "png", png(picture, 8, RGB, raw=raw[:-1]), demand="refuse")
    packed = zlib.compress(raw)
    for end in (packed[: len(packed) // 2], packed[: -4 - len(packed) // 9], packed[:-1] + bytes([packed[-1] ^ 1])):
        # A tiny picture may end before the cut.
        demand = "refuse" if height > 5 else "either"
        book.add("PNG pixels cut or their sum wrong", "png", png(picture, 8, RGB, packed=end), picture, demand)
    middle = len(whole) // 2
    for flip in (1, 0x80):
        damaged = whole[:middle] + bytes([whole[middle] ^ flip]) + whole[middle + 1 :]
        book.add("PNG damaged", "png", damaged, demand="refuse")
