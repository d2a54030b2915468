"""Enlarge pictures to 256x256 pixels with DALL-E 2's upsampler, and write them into one PNG file.

The upsampler runs twice, from 64 to 128 and to 256 pixels, and adds what it expects at edges. It has learned to go from
32 to 64 pixels, so it makes lines crisp, but it does not invent things that are not there. A picture from elsewhere is
laid on white and brought to 64x64 pixels first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..systems import studio
from .drawing import MOST, answer, check_picture, options, pictures, whole

HELP = "enlarge a picture to 256x256 pixels"
EXAMPLES = """examples:
  minidiffusion enlarge imagine.png
  minidiffusion enlarge imagine.png --picture 2 --out large.png
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE.png", help="a picture, from here or from elsewhere")
    which = "only this picture of a file with several, counted from 1, row by row; default: all of them"
    parser.add_argument("--picture", type=whole(1, MOST), metavar="N", help=which)
    options(parser, "enlarge", several=False)


def run(args: argparse.Namespace) -> int:
    check_picture("--out", args.out)
    found = pictures("FILE.png", args.file, args.picture, args.out)
    return answer(args, studio.Shipped(), studio.enlarge(found, args.seed or 0))
