"""Checks of what the user typed, before any work starts. A message says what is wrong and what would be right."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..check import came, one_of
from ..training.files import check_writable

__all__ = ["check_folder", "check_picture", "one_of", "whole"]


def whole(low: int, high: int = 2**63 - 1) -> Callable[[str], int]:
    """An argparse type for whole numbers from low to high."""
    wanted = f"from {low} to {high}" if high < 2**63 - 1 else f"of at least {low}"

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number {wanted}, got {came(text)}")
        return value

    return number


def check_picture(argument: str, path: Path) -> None:
    """ValueError unless a PNG file can be written to `path`."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{argument} must end in .png, got {came(str(path))}")
    try:
        check_writable(path)
    except OSError as error:
        raise ValueError(f"{argument}: {error}") from None


def check_folder(argument: str, path: Path) -> None:
    """ValueError unless the folder exists or can be made, and files can be written into it."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ValueError(f"{argument} must be a folder, got {str(path)!r}, and {there} is a file")
    try:
        check_writable(there / "probe")
    except OSError as error:
        raise ValueError(f"{argument}: cannot write into {there} ({error})") from None
