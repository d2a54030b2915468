"""A student's gallery: the pictures that they made, as PNG files in the folder `gallery` beside the lessons."""

from __future__ import annotations

import re
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..plots import tile

FOLDER = Path("gallery")


def keep(picture: Float[Tensor, "*batch channel row column"], name: str) -> None:
    """Save a picture, or a sheet of several, as gallery/NAME.png, and say so. A picture of that name is replaced.

    picture: in [-1, 1]. ValueError if the name could not be that of a file.
    """
    if not re.fullmatch(r"[\w ,-]{1,80}", name):
        raise ValueError(f"name must be 1 to 80 letters, digits, spaces, commas, - or _, got {name[:80]!r}")
    sheet = tile(picture[None] if picture.ndim == 3 else picture)
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(sheet).save(FOLDER / f"{name}.png")
    print(f"Kept in your gallery: {FOLDER / name}.png")


def show(columns: int = 6, side: int = 128) -> Image.Image | None:
    """All pictures of the gallery on one sheet, the newest first; None if there are none yet.

    columns: pictures in a row. side: of the square that each is fitted into, in pixels.
    """
    files = sorted(FOLDER.glob("*.png"), key=lambda path: path.stat().st_mtime, reverse=True)
    if not files:
        print("Your gallery is still empty.")
        return None
    fitted = [_fitted(file, side - 8) for file in files]
    lines = [fitted[i : i + columns] for i in range(0, len(fitted), columns)]
    heights = [8 + max(picture.height for picture in line) for line in lines]  # a line of strips needs little room
    sheet = Image.new("RGB", (len(lines[0]) * side, sum(heights)), "white")
    for y, (line, height) in enumerate(zip(lines, heights, strict=True)):
        for x, picture in enumerate(line):
            left, top = x * side + (side - picture.width) // 2, sum(heights[:y]) + (height - picture.height) // 2
            sheet.paste(picture, (left, top))
    return sheet


def _fitted(file: Path, side: int) -> Image.Image:
    """The picture in a file, resized so that its longer side has this many pixels."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    scale = side / max(picture.size)
    width, height = (max(1, round(scale * length)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
