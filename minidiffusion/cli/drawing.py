"""What the commands that draw prompts and pictures share: their options, reading pictures, and writing the answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..check import came
from ..systems import studio
from ..systems.studio.files import SIDE, about
from ..systems.studio.requests import Request
from ..training.files import write_whole
from .inputs import check_picture, whole

MOST, LARGEST = 64, 1024  # pictures in a file, and the side of each


def real(low: float, high: float) -> Any:
    """An argparse type for numbers from low to high."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}, got {came(text)}")
        return value

    return number


def side(text: str) -> int:
    """An argparse type for multiples of 64 up to LARGEST."""
    value = whole(1)(text)
    if value % SIDE or value > LARGEST:
        raise argparse.ArgumentTypeError(f"must be a multiple of {SIDE} up to {LARGEST}, got {came(text)}")
    return value


def options(parser: argparse.ArgumentParser, name: str, several: bool = True) -> None:
    """Declare the options that these commands have in common. several: those of commands that draw at 64 pixels."""
    add = parser.add_argument
    if several:
        add("--count", type=whole(1, MOST), default=4, metavar="N", help="number of pictures (4)")
    add("--seed", type=whole(0), metavar="N", help="picture i has the seed N + i, counted from 0 (0)")
    if several:
        size = f"side of each picture in pixels, a multiple of {SIDE}; pixels are repeated, nothing is added ({SIDE})"
        add("--size", type=side, default=SIDE, metavar="N", help=size)
    add("--out", type=Path, default=Path(f"{name}.png"), metavar="FILE.png", help=f"the file to write ({name}.png)")
    add("--json", action="store_true", help="print what is written beside the pictures, as JSON, instead of the path")


def pictures(
    argument: str, path: Path, number: int | None, out: Path, option: str = "--picture"
) -> list[studio.Picture]:
    """The pictures of a file, or only the one with this number, counted from 1, which came with `option`.

    ValueError names the argument or the option.
    """
    if path.exists() and out.exists() and path.samefile(out):
        raise ValueError(f"--out: {out} is also {argument}; choose another name")
    try:
        found = studio.read(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{argument}: {error}") from None
    if number is None:
        return found
    if number > len(found):
        raise ValueError(f"{option} must be from 1 to {len(found)}, because {path} holds {len(found)}, got {number}")
    return [found[number - 1]]


def answer(args: argparse.Namespace, systems: studio.Shipped, request: Request, notes: Sequence[str] = ()) -> int:
    """Say the notes, draw the request, write the file, and print its path."""
    for note in notes:
        print(note, file=sys.stderr)
    drawn = studio.draw(systems, *request)
    size = getattr(args, "size", None)
    with write_whole(args.out) as file:
        file.write(studio.png(drawn, size, systems.weights()))
    if args.json:
        print(
            json.dumps({"file": str(args.out), "notes": list(notes), **about(drawn, size, systems.weights())}, indent=1)
        )
    else:
        print(args.out)
    return 0


__all__ = ["answer", "check_picture", "options", "pictures", "real", "whole"]
