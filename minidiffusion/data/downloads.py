"""Where full data sets come from: your own folder, the cache or a public mirror, always checked by sha256."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..check import came

EMBEDDED = ("fashion_mnist_6k", "emoji32", "emoji64")
"""The data sets in the package. Like the toys, they need no internet."""

LIMIT, SECONDS = 2**28, 1800.0  # bytes of a file, and the time of a download; the largest here has 170 MB


@dataclass(frozen=True)
class Source:
    """The files of a data set with the sha256 of each, and the addresses to download them from, in this order."""

    mirrors: tuple[str, ...]
    files: dict[str, str]


SOURCES = {
    "fashion_mnist": Source(
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "mnist": Source(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "cifar10": Source(
        mirrors=(
            "https://www.cs.toronto.edu/~kriz/",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
        ),
        files={
            "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        },
    ),
}


def own_folder(name: str) -> Path | None:
    """The folder of a data set inside MINIDIFFUSION_DATA, or None. ValueError if MINIDIFFUSION_DATA does not exist."""
    root = os.environ.get("MINIDIFFUSION_DATA")
    if not root:
        return None
    if not Path(root).is_dir():
        raise ValueError(f"MINIDIFFUSION_DATA must be a folder that exists, got {came(root)}")
    folder = Path(root) / name
    return folder if folder.is_dir() else None


def _download(url: str, output: str, pooch: Any) -> None:
    """Write what this address sends to a file, or stop: requests alone waits for ever while single bytes arrive."""
    import requests

    failed: list[Exception] = []

    def work() -> None:
        try:
            _receive(url, output)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)  # because the lines before the content may never end, either
    thread.start()
    thread.join(SECONDS + 5)
    if failed or thread.is_alive():
        raise failed[0] if failed else requests.RequestException(f"more than {SECONDS:.0f} seconds")


def _receive(url: str, output: str) -> None:
    import requests

    began, got = time.monotonic(), 0
    headers = {"Accept-Encoding": "identity"}  # nothing is unpacked before its sha256 is known
    with requests.get(url, stream=True, timeout=(5, 30), headers=headers) as answer, open(output, "wb") as file:
        answer.raise_for_status()
        while piece := getattr(answer.raw, "read1", answer.raw.read)(2**16):
            got += len(piece)
            if got > LIMIT or time.monotonic() - began > SECONDS:
                raise requests.RequestException(f"more than {LIMIT} bytes or {SECONDS:.0f} seconds")
            file.write(piece)


def fetch(name: str, file: str) -> Path:
    """The path of a file of a data set, with the right sha256: from your own folder, the cache or a mirror.

    ValueError if the file in your own folder is not the published one. ConnectionError if no mirror has the file.
    """
    import pooch  # here, because these take an eighth of a second and most users never download anything
    import requests
    import urllib3

    source = SOURCES[name]
    sha256 = source.files[file]
    folder, cache = own_folder(name), pooch.os_cache("minidiffusion") / name
    for place in (folder / file if folder else cache / file, cache / file):  # a device or a pipe may never end
        if os.path.lexists(place) and not (place.is_file() and place.stat().st_size <= LIMIT):
            raise ValueError(f"{place}: no file of at most {LIMIT} bytes; it is not used")
    if folder and (folder / file).is_file():
        found = pooch.file_hash(str(folder / file))
        if found != sha256:
            raise ValueError(f"{folder / file}: its sha256 is {found}, want {sha256}; it is not used")
        return folder / file

    failures = []
    for mirror in source.mirrors:
        try:
            path = pooch.retrieve(
                mirror + file,
                known_hash=f"sha256:{sha256}",
                fname=file,
                path=cache,
                downloader=_download,
            )
            return Path(path)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failures.append(f"{mirror + file} ({type(error).__name__})")
        except ValueError:  # pooch has downloaded a file with another hash, and does not keep it
            failures.append(f"{mirror + file} (its sha256 differs)")
    raise ConnectionError(
        f"{name} could not be downloaded from {', '.join(failures)}. Without internet, use {', '.join(EMBEDDED)} or a "
        f"toy, which come with the package, or set MINIDIFFUSION_DATA to a folder that has "
        f"{', '.join(f'{name}/{known}' for known in source.files)}."
    )
