"""Checks of what was typed: each says in one line what is wrong and what would be right, before any work."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable
from pathlib import Path

from ..training.files import check_writable


def whole(low: int, high: int = 2**63 - 1) -> Callable[[str], int]:
    """An argparse type: a whole number from low to high."""
    wanted = f"from {low} to {high}" if high < 2**63 - 1 else f"of at least {low}"

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number {wanted}, got {text!r}")
        return value

    return number


def one_of(argument: str, got: str, known: Iterable[str]) -> str:
    """`got`, if it is known; else a ValueError with all that is known, and what may have been meant."""
    known = tuple(known)
    if got not in known:
        near = difflib.get_close_matches(got.lower(), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{argument} must be one of {', '.join(known)}, got {got!r}{hint}")
    return got


def check_picture(argument: str, path: Path) -> None:
    """ValueError unless a PNG can be written there."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{argument} must end in .png, got {str(path)!r}")
    try:
        check_writable(path)
    except OSError as error:
        raise ValueError(f"{argument}: {error}") from None


def check_folder(argument: str, path: Path) -> None:
    """ValueError unless there is such a folder, or one can be made, and files can be written into it."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ValueError(f"{argument} must be a folder, got {str(path)!r}, and {there} is a file")
    try:
        check_writable(there / "probe")
    except OSError as error:
        raise ValueError(f"{argument}: no file can be written into {there} ({error})") from None
