"""Blend two pictures with DALL-E 2, and write what lies between them into one PNG file.

Both what CLIP sees in the pictures and the noise that leads to them are interpolated. Four pictures are at a fifth, two
fifths, three fifths and four fifths of the way; with --count 1 you get the middle. Pictures from elsewhere are laid on
white and brought to 64x64 pixels first. Of a file with several pictures, the first counts unless --pictures says
otherwise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..systems import studio
from .drawing import MOST, answer, check_picture, options, pictures, whole

HELP = "blend two pictures"
EXAMPLES = """examples:
  minidiffusion blend lion.png dog.png
  minidiffusion blend imagine.png vary.png --pictures 2 4 --count 1 --out both.png
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for name in ("A", "B"):
        add(name.lower(), type=Path, metavar=f"{name}.png", help="a picture, from here or from elsewhere")
    which = "which picture of each file, counted from 1, row by row (1 1)"
    add("--pictures", type=whole(1, MOST), nargs=2, default=[1, 1], metavar="N", help=which)
    options(parser, "blend")


def run(args: argparse.Namespace) -> int:
    check_picture("--out", args.out)
    a, b = (
        pictures(f"{name}.png", path, number, args.out, "--pictures")[0]
        for name, path, number in zip("AB", (args.a, args.b), args.pictures, strict=True)
    )
    return answer(args, studio.Shipped(), studio.blend(a, b, args.seed or 0, args.count))
