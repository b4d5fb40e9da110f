"""JPEG: frames × sampling × scans × restarts × colour transforms, and every way to cut. libjpeg-turbo
writes them (Pillow's, and cjpeg where it is installed), and libjpeg-turbo inside Pillow reads them, with
its default smooth up-sampling and accurate transform."""

import io
import itertools
import struct

import imagecodecs
import numpy as np
from PIL import Image

from png_variants import turned

SIZES = [(64, 64), (61, 53), (40, 31), (17, 23), (8, 16), (3, 5), (1, 1)]
SEQUENTIAL = ["0;\n1;\n2;\n", "0 1;\n2;\n", "0;\n1 2;\n", "2;\n1;\n0;\n"]
PROGRESSIVE = [
    "0 1 2: 0 0, 0, 1;\n0: 1 5, 0, 2;\n2: 1 63, 0, 1;\n1: 1 63, 0, 1;\n0: 6 63, 0, 2;\n0: 1 63, 2, 1;\n"
    "0 1 2: 0 0, 1, 0;\n2: 1 63, 1, 0;\n1: 1 63, 1, 0;\n0: 1 63, 1, 0;\n",
    "0: 0 0, 0, 0;\n1: 0 0, 0, 0;\n2: 0 0, 0, 0;\n0: 1 63, 0, 0;\n1: 1 63, 0, 0;\n2: 1 63, 0, 0;\n",
    "0 1 2: 0 0, 0, 3;\n0 1 2: 0 0, 3, 2;\n0 1 2: 0 0, 2, 1;\n0 1 2: 0 0, 1, 0;\n0: 1 63, 0, 3;\n0: 1 63, 3, 2;\n"
    "0: 1 63, 2, 1;\n0: 1 63, 1, 0;\n1: 1 63, 0, 0;\n2: 1 63, 0, 0;\n",
]


def read(data):
    """libjpeg-turbo's reading; none where it fails."""
    try:
        return np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    except Exception:
        pass
    try:
        # Pillow walks over the segments itself, less patiently than libjpeg.
        return imagecodecs.jpeg8_decode(data, outcolorspace="RGB")
    except Exception:
        return None


def ppm(picture):
    height, width = picture.shape[:2]
    return b"P6 %d %d 255\n" % (width, height) + picture.tobytes()


def segments(data):
    """The segments before the first scan, and the rest."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        length = struct.unpack_from(">H", data, at + 2)[0] + 2
        found.append(data[at : at + length])
        at += length
    return found, data[at:]


def write(book, cell):
    scripts = book.folder / "scans.txt"

    def add(group, data, demand=None, turn=1):
        if data is not None:
            pixels = None if demand in ("refuse", "any") else lambda: read(data)
            if pixels and turn > 1:
                pixels = lambda: turned(read(data), turn)
            book.add(f"JPEG {group}", "jpg", data, pixels, demand)

    def cjpeg(picture, *options, script=None):
        if script:
            scripts.write_text(script)
            options += ("-scans", str(scripts))
        return book.tool("cjpeg", "-quality", "88", *options, data=ppm(picture))

    for seed, (height, width) in enumerate(SIZES):
        picture = cell(height, width, 300 + seed)
        for quality, sampling, progressive, optimise, restart in itertools.product(
                (30, 75, 95, 100), (0, 1, 2), (False, True), (False, True), (0, 1)):
            out = io.BytesIO()
            more = dict(restart_marker_rows=1) if restart else {}
            Image.fromarray(picture).save(out, "JPEG", quality=quality, subsampling=sampling, progressive=progressive,
                                          optimize=optimise, **more)
            add("progressive" if progressive else "baseline", out.getvalue())
        for mode, progressive in itertools.product(("L", "CMYK"), (False, True)):
            out = io.BytesIO()
            Image.fromarray(picture).convert(mode).save(out, "JPEG", quality=90, progressive=progressive)
            add({"L": "grey", "CMYK": "CMYK"}[mode], out.getvalue())
        four = np.dstack([picture, 255 - picture[..., 0] // 3])
        for colours in ("YCCK", "CMYK"):
            data = imagecodecs.jpeg8_encode(four, level=90, colorspace="CMYK", outcolorspace=colours)
            add("CMYK", data)
        data = imagecodecs.jpeg8_encode(picture, level=90, colorspace="RGB", outcolorspace="RGB")
        add("RGB without transform", data)
        for sampling in ("1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "1x1,2x1,2x1", "1x1,1x2,1x2",
                         "1x1,2x2,2x2", "2x1,1x1,2x1", "2x2,1x2,2x1", "2x2,2x1,1x1", "1x2,1x1,1x1", "1x1,1x1,2x2",
                         "2x1,2x2,1x1", "1x2,2x1,1x1", "4x1,2x1,1x1"):
            for options in ((), ("-progressive",), ("-restart", "1"), ("-restart", "3B", "-progressive")):
                data = cjpeg(picture, "-sample", sampling, *options)
                add(f"sampling {sampling}", data)
        for sampling in ("1x1", "2x1", "2x2", "1x1,2x1,2x1", "2x1,1x2,1x1"):
            for script in SEQUENTIAL:
                for options in ((), ("-restart", "2B")):
                    add("sequential, several scans", cjpeg(picture, "-sample", sampling, *options, script=script))
            for script in PROGRESSIVE:
                for options in ((), ("-restart", "2B")):
                    add("progressive, other scans", cjpeg(picture, "-sample", sampling, *options, script=script))
        for sampling in ("3x1,1x1,1x1", "3x1,2x1,1x1", "1x3,1x2,1x1"):
            add("sampling 3 to 2", cjpeg(picture, "-sample", sampling), "either")
        add("RGB without transform", cjpeg(picture, "-rgb"))
        add("arithmetic", cjpeg(picture, "-arithmetic"), "refuse")
    picture = cell(61, 53, 7)
    add("12 bit", book.tool("cjpeg", "-precision", "12", data=ppm(picture)), "refuse")
    lossless = imagecodecs.ljpeg_encode(picture[..., 0])
    add("lossless", lossless, "refuse")
    add("JPEG-LS", imagecodecs.jpegls_encode(picture), "refuse")
    whole = jpeg(picture)
    at = whole.index(b"\xff\xc0") + 5
    for number in (b"", b"\xff\xdc\0\4" + whole[at : at + 2]):
        add("without a height", whole[:at] + b"\0\0" + whole[at + 2 : -2] + number + b"\xff\xd9", "refuse")
    structure(add, picture, cell)
    cuts(add, picture, cjpeg)
    damaged(add, picture)


def jpeg(picture, **options):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def structure(add, picture, cell):
    for progressive, size in itertools.product((False, True), ((61, 53), (16, 16), (40, 64))):
        data = jpeg(cell(*size, 4), progressive=progressive)
        found, rest = segments(data)
        for place in range(len(found) + 1):
            for junk in (b"\0", b"junk", b"\xff\xff\xff", b"\xff\0ab", b"\0" * 100):
                parts = found[:place] + [junk] + found[place:]
                # libjpeg asks for a marker right behind SOI when it is asked for the first one.
                add("bytes between segments", b"\xff\xd8" + b"".join(parts) + rest, "either" if place == 0 else None)
        thumbnail = jpeg(picture[:20, :20])
        exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
        add("thumbnail inside", b"\xff\xd8" + exif + data[2:])
        add("bytes behind EOI", data + b"junk" + thumbnail)
        add("bytes behind EOI", data[:-2] + b"\0\0\xff\xff\xff\xd9")
        for turn in range(1, 9):
            tag = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack("<I", turn) + bytes(4)
            exif = b"\xff\xe1" + struct.pack(">H", len(tag) + 8) + b"Exif\0\0" + tag
            whole = b"\xff\xd8" + exif + data[2:]
            add("orientation", whole, turn=turn)
            xmp = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="%d"/>' % turn
            xmp = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
            add("orientation", b"\xff\xd8" + xmp + data[2:], turn=turn)
            # What Exif data say comes first.
            add("orientation", b"\xff\xd8" + xmp.replace(b'="%d"' % turn, b'="3"') + whole[2:], turn=turn)
        ids = data.replace(b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01", b"\x03R\x22\x00G\x11\x01B\x11\x01")
        add("components with other names", ids.replace(b"\x03\x01\x00\x02\x11\x03\x11", b"\x03R\x00G\x11B\x11"), "either")


def cuts(add, picture, cjpeg):
    wholes = [jpeg(picture), jpeg(picture, progressive=True), jpeg(picture, restart_marker_rows=1), jpeg(picture, optimize=True)]
    wholes += [cjpeg(picture, script=script) for script in SEQUENTIAL + PROGRESSIVE]
    for whole in filter(None, wholes):
        found, rest = segments(whole)
        start = len(whole) - len(rest) + 14
        for share in range(24):
            at = start + (len(whole) - start - 8) * share // 24
            part = whole[:at] if whole[at - 1] != 0xFF else whole[: at - 1]
            add("cut", part, "refuse")
            add("cut, then EOI", part + b"\xff\xd9", "refuse")
            add("cut, then zeros", part + bytes(len(whole) - at), "refuse")
            add("cut, then a thumbnail", part + jpeg(picture[:16, :16]), "refuse")
            missing = bytes(len(whole) - 2 - at)
            add("cut, filled up with zeros", part + missing + whole[-2:], "refuse" if len(missing) > 64 else "any")
            hole = part + bytes(128) + whole[at + 128 :]
            add("a hole of zeros", hole, "any" if b"\xff" in whole[at - 1 : at + 129] else "either")
        for at in range(2, start, 9):
            add("cut", whole[:at], "refuse")


def damaged(add, picture):
    """A wrong byte anywhere: refused, or libjpeg's pixels."""
    dice = np.random.default_rng(5)
    for progressive, restart in ((False, 0), (True, 0), (False, 1)):
        whole = jpeg(picture, progressive=progressive, restart_marker_rows=restart)
        tables = range(whole.index(b"\xff\xdb") + 5, whole.index(b"\xff\xdb") + 69)
        for at in tables[::4]:
            # Steps so large that values overflow: libjpeg-turbo's wrap in 16 bits.
            add("one step wrong", whole[:at] + b"\xfe" + whole[at + 1 :], "either")
        for at in dice.integers(2, len(whole) - 2, 120):
            data = bytearray(whole)
            data[at] ^= 1 << int(dice.integers(0, 8))
            add("one bit wrong", bytes(data), "either")
