"""Your own pictures: a folder of any sizes, formats and modes as one data set."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from .. import check

LONGEST = 10_000  # characters of a caption


class Pictures(NamedTuple):
    images: UInt8[Tensor, "count channel size size"]
    labels: Int64[Tensor, "count"]  # the sub-folder of each picture, as a place in `classes`; 0 if there are none
    classes: tuple[str, ...]  # the names of the sub-folders in alphabetical order; () if there are none
    captions: list[str]  # the text of NAME.txt beside NAME.png, or ""


def folder(path: str | os.PathLike, size: int = 32, channels: int = 3) -> Pictures:
    """Read all pictures below a folder, in the order of their names.

    Each becomes a square of size x size pixels, 3 channels in colour or 1 in grey: its middle is cut out, what is
    transparent becomes white, and a camera's note on how it was held is followed. Hidden files are skipped. Files that
    look like pictures but cannot be read are named in a warning and left out. ValueError if no picture is there.
    """
    check.whole("size", size, 4, 1024)
    check.must_be("1 or 3", "channels", channels, channels in (1, 3))
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"path must be a folder with pictures, and there is none at {str(root)[:500]}")
    Image.init()
    known = {file for file in sorted(root.rglob("*")) if file.suffix.lower() in Image.registered_extensions()}
    files = sorted(file for file in known if not file.is_dir() and not _hidden(file.relative_to(root)))
    read, images, broken = [], [], []
    for file in tqdm(files, "pictures", unit="file", disable=None):
        try:
            check.must_be("a file", "picture", file, file.is_file())  # and no pipe, which may never end
            images.append(_square(file, size, channels))
            read.append(file)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            broken.append(f"{file.relative_to(root)} ({type(error).__name__})")
    if broken:
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        warnings.warn(f"left out, because they cannot be read: {', '.join(broken[:5])}{more}", stacklevel=2)
    if not images:
        raise ValueError(f"path must be a folder with pictures, and none could be read in {root}")
    parts = [file.relative_to(root).parts for file in read]
    names = [part[0] if len(part) > 1 else "" for part in parts]
    classes = tuple(sorted(set(names))) if any(names) else ()
    labels = torch.tensor([classes.index(name) if classes else 0 for name in names])
    captions = [_caption(file.with_suffix(".txt")) for file in read]
    return Pictures(torch.from_numpy(np.stack(images)), labels, classes, captions)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.parts)


def _square(file: Path, size: int, channels: int) -> UInt8[np.ndarray, "channel size size"]:
    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened)
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits of grey or more, which convert() would clip
        grey = np.asarray(picture, dtype=np.float64)
        check.must_be("finite", "grey values", grey, bool(np.isfinite(grey).all()))
        full = 255.0 if grey.max() > 1 or grey.max() <= 0 else 1.0
        full = 65535.0 if grey.max() > 255 or opened.mode.startswith("I;16") else full
        picture = Image.fromarray((255 * (grey / full).clip(0, 1)).round().astype(np.uint8))
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("L" if channels == 1 else "RGB")
    square = np.array(ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS))
    return square.reshape(size, size, channels).transpose(2, 0, 1).copy()


def _caption(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.read(LONGEST).strip()
