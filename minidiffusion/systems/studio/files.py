"""A PNG that carries its records: pictures and JSON to bytes, and back."""

from __future__ import annotations

import hashlib
import io
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from .records import Picture, Record

KEY = "minidiffusion"  # of the text chunk
SIDE = 64


def sheet(pictures: Sequence[Picture], size: int | None = None) -> UInt8[np.ndarray, "height width 3"]:
    """The pictures side by side, row by row, without gaps; four are two rows of two. Missing ones are white.

    size: the side of each in pixels, a multiple of its own, which repeats pixels and adds nothing; None is its own.
    """
    own = pictures[0].pixels.shape[1]
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    found = np.full((rows * own, columns * own, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * own, i % columns * own
        found[top : top + own, left : left + own] = picture.pixels.permute(1, 2, 0).numpy()
    times = (size or own) // own
    return found.repeat(times, axis=0).repeat(times, axis=1)


def about(
    pictures: Sequence[Picture], size: int | None = None, weights: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What is written beside the pictures: all that is needed to draw them again, and a checksum of the pixels."""
    shown = sheet(pictures, size)
    return {
        "version": version("minidiffusion"),
        "weights": dict(weights or {}),
        "count": len(pictures),
        "size": size or pictures[0].pixels.shape[1],
        "sha256": _checksum(shown),
        "pictures": [picture.record.as_json() for picture in pictures],
    }


def png(pictures: Sequence[Picture], size: int | None = None, weights: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a PNG file with these pictures, as `sheet` lays them out, and with `about` in its text chunk."""
    info = PngInfo()
    info.add_itxt(KEY, json.dumps(about(pictures, size, weights), ensure_ascii=False))
    return _encoded(sheet(pictures, size), info)


def read(path: str | Path) -> list[Picture]:
    """The pictures of a file: with their records if it came from here and is unchanged, else one that is "given".

    A picture from elsewhere may have any size and colours. It is laid on white, padded to a square, and brought to
    64x64. FileNotFoundError or ValueError, with the path, if it cannot be read.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe or a device may never end
            raise ValueError("it is no file")
        with Image.open(path) as image:
            image.load()
            text = getattr(image, "text", {}).get(KEY)
            pictures = None if text is None else _own(image, text)
            return pictures or [Picture(given(pixels := small(image)), pixels)]
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except Exception as error:  # a damaged file can make PIL raise nearly anything
        raise ValueError(f"{path} is not a picture that can be read: {error}") from None


def small(image: Image.Image) -> UInt8[Tensor, "3 64 64"]:
    """An image of any size and mode on white, padded to a square, as 64x64 pixels in colour."""
    if image.mode.startswith("I"):  # 16 bits, of which PIL would cut off all but the darkest
        image = Image.fromarray((np.asarray(image, np.float64) / 257).clip(0, 255).astype(np.uint8))
    turned = ImageOps.exif_transpose(image).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned).convert("RGB")
    return _pixels(ImageOps.pad(flat, (SIDE, SIDE), Image.Resampling.LANCZOS, color="white"))


def given(pixels: UInt8[Tensor, "3 side side"]) -> Record:
    """The record of a picture from elsewhere, which is the picture itself."""
    return Record("given", "dalle2", png=b64encode(_encoded(pixels.permute(1, 2, 0).numpy())).decode())


def unpacked(record: Record) -> UInt8[Tensor, "3 side side"]:
    """The pixels of a given picture. ValueError if the record holds none."""
    try:
        with Image.open(io.BytesIO(b64decode(record.png))) as image:
            return _pixels(image.convert("RGB"))
    except Exception as error:
        raise ValueError(f"png must be a PNG in base64: {error}") from None


def _own(image: Image.Image, text: str) -> list[Picture] | None:
    """The pictures of a PNG that we wrote; None if the text is not ours, or if the pixels are no longer those."""
    try:
        found = json.loads(text)
        records = [Record.of(record) for record in found["pictures"]]
        shown, size = np.asarray(image), found["size"]
        if image.mode != "RGB" or found["sha256"] != _checksum(shown) or not records:
            return None
        own = 4 * SIDE if records[0].done == "enlarge" else SIDE
        shown = shown[:: size // own, :: size // own]
        tiles = shown.reshape(shown.shape[0] // own, own, -1, own, 3).swapaxes(1, 2).reshape(-1, own, own, 3)
        parts = torch.tensor(tiles[: len(records)]).permute(0, 3, 1, 2)
        return [Picture(record, part) for record, part in zip(records, parts, strict=True)]
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RecursionError):
        return None


def _pixels(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    return torch.tensor(np.asarray(image)).permute(2, 0, 1)


def _checksum(shown: UInt8[np.ndarray, "height width 3"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(shown).tobytes()).hexdigest()


def _encoded(shown: UInt8[np.ndarray, "height width 3"], info: PngInfo | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(file, "PNG", pnginfo=info)
    return file.getvalue()
