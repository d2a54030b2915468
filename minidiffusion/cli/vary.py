"""Draw variations of a picture, and write them into one PNG file.

The system that drew the picture also varies it: Stable Diffusion redraws it under its prompt, from a noised copy, and
DALL-E 2 keeps what CLIP sees in it and replaces a part of the noise. A picture from elsewhere is varied by DALL-E 2,
which needs no prompt; it is laid on white and brought to 64x64 pixels first. Of a file with several pictures, each has
its turn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..systems import studio
from .drawing import MOST, answer, check_picture, options, pictures, whole

HELP = "draw variations of a picture"
EXAMPLES = """examples:
  minidiffusion vary imagine.png --picture 3
  minidiffusion vary photo.jpg --count 1 --seed 7 --out varied.png
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE.png", help="a picture, from here or from elsewhere")
    which = "only this picture of a file with several, counted from 1, row by row; default: all of them"
    parser.add_argument("--picture", type=whole(1, MOST), metavar="N", help=which)
    options(parser, "vary")


def run(args: argparse.Namespace) -> int:
    check_picture("--out", args.out)
    found = pictures("FILE.png", args.file, args.picture, args.out)
    return answer(args, studio.Shipped(), studio.vary(found, args.seed or 0, args.count))
