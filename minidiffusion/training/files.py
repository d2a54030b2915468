"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def _temporary(path: Path) -> Path:
    if not path.name:
        raise OSError(errno.EISDIR, "path must name a file, got a folder", str(path))
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.part")  # no two writers share it


@contextlib.contextmanager
def write_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` once all of it is on the disk. After an error, `path` is as it was before.

    OSError, with `path` in its message, if the file cannot be written.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk as well. Otherwise a power cut may bring back the old file."""
    with contextlib.suppress(OSError):  # not every system can do this, and the file is complete either way
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_parts(folder: Path) -> None:
    """Remove the temporary files of processes that were killed. Call this only when nobody else is writing there."""
    for part in folder.glob(".*.part"):
        part.unlink()


def check_writable(path: str | os.PathLike) -> None:
    """OSError if `write_whole(path)` could not even begin. Call this before long work rather than after it."""
    path = Path(path)
    if path.is_dir():
        raise OSError(f"{path} is a folder")
    if not path.parent.is_dir():
        raise OSError(f"there is no folder {path.parent}")
    try:
        # try the temporary file itself, because permissions alone do not reveal a name that is too long
        open(_temporary(path), "wb").close()
        _temporary(path).unlink()
        if path.exists():
            open(path, "ab").close()
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from None
