"""Checkpoints: weights as safetensors, and a header that a person can read. No pickle anywhere.

The header says what is needed to build the denoiser again (network, sizes, schedule, head) and, under "about",
whatever the one who saved it wrote down: recipe, seed, versions, quality. A training that will go on keeps more
than weights (training_state.py says what), in a file of the same make. The same content gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from .. import schedule as schedules
from ..denoiser import Denoiser
from ..heads import HEADS
from ..nets import NETS
from .files import write_whole

FORMAT = "minidiffusion 1"
TRAINING = "minidiffusion training 1"
UNSUMMED = "0" * 64  # stands for the checksum while it is computed


def save(
    denoiser: Denoiser, path: str | os.PathLike, about: dict[str, Any] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write the denoiser to `path`, all of it or nothing; OSError if it cannot be written.

    about: a JSON dictionary kept in the header. dtype: store the weights in this type, such as torch.float16,
    which halves the file; None keeps theirs.
    """
    net: Any = denoiser.net
    network = type(net).__name__
    if network not in NETS:
        raise TypeError(f"denoiser.net must be one of {', '.join(NETS)} to be saved, got {network}")
    header = {
        "format": FORMAT,
        "network": network,
        "config": json.dumps(net.config),
        "schedule": json.dumps(denoiser.schedule.config()),
        "head": denoiser.head.name,
        "about": _as_json({} if about is None else about),
    }
    weights = {k: v.detach().to("cpu", dtype) for k, v in net.state_dict().items()}
    _write(path, header, weights)


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """What a checkpoint says of itself, without its weights. ValueError if it is not one of ours, or broken."""
    with _naming(path):
        return _parsed(_read_header(path, FORMAT, {"network", "config", "schedule", "head", "about"}))


def load(path: str | os.PathLike, device: str | torch.device = "cpu") -> Denoiser:
    """The denoiser that `save` wrote, in float32, ready to sample. ValueError if the file is not whole."""
    header = read_header(path)
    with _naming(path):
        weights = _read_tensors(path)
        with torch.device("meta"):  # sizes without memory: a broken header may ask for a network of any size
            asked = NETS[header["network"]](**header["config"]).state_dict()
        if {k: v.shape for k, v in asked.items()} != {k: v.shape for k, v in weights.items()}:
            raise ValueError("its weights are not those of its network")
        net = NETS[header["network"]](**header["config"])
        net.load_state_dict(weights)
        denoiser = Denoiser(net, schedules.from_config(header["schedule"]), HEADS[header["head"]])
    return denoiser.to(device).eval().requires_grad_(False)


def save_training(state: Mapping[str, Tensor], path: str | os.PathLike, about: dict[str, Any]) -> None:
    """Write `step.state()` of a training to `path`, all of it or nothing, to go on with `fit(..., state=...)`."""
    _write(path, {"format": TRAINING, "about": _as_json(about)}, state)


def load_training(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """state, about: what `save_training` wrote. ValueError if the file is not whole."""
    with _naming(path):
        about = _parsed(_read_header(path, TRAINING, {"about"}))["about"]
        return _read_tensors(path), about


def shipped(name: str = "fashion_mnist", device: str | torch.device = "cpu") -> Denoiser:
    """A trained denoiser that comes with the package and draws Fashion-MNIST by label (figures/ says how it was made).

    fashion_mnist: two dozen steps of dpmpp_2m. fashion_mnist_few: distilled from it; one, two or four of consistency.
    """
    with as_file(files("minidiffusion") / "weights" / f"{name}.safetensors") as path:
        return load(path, device)


def _as_json(about: dict[str, Any]) -> str:
    try:
        if not isinstance(about, dict):
            raise TypeError("it is no dictionary")
        return json.dumps(about)
    except (TypeError, ValueError) as error:
        raise TypeError(f"about must be a JSON dictionary, got {about!r}: {error}") from None


def _parsed(texts: dict[str, str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {key: json.loads(texts[key]) for key in ("config", "schedule", "about") if key in texts}
    if not all(isinstance(value, dict) for value in parsed.values()):
        raise ValueError(f"its {', '.join(parsed)} must be JSON dictionaries")
    return {**texts, **parsed}


# The file


@contextlib.contextmanager
def _naming(path: str | os.PathLike) -> Iterator[None]:
    """Whatever a missing or broken file makes go wrong inside, in one sentence with its path."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be a checkpoint file, and there is none at {path}")
    try:
        yield
    except (SafetensorError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ValueError(f"path must be a whole minidiffusion checkpoint, and {path} is not: {error}") from None


def _write(path: str | os.PathLike, header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file: the length of its header, the header as JSON, the tensors. A checksum covers both."""
    blob = memoryview(serialise({name: tensor.contiguous() for name, tensor in tensors.items()}))
    start = 8 + int.from_bytes(blob[:8], "little")
    # the library would put the texts of a header into another order on every run
    places = json.loads(bytes(blob[8:start]))
    text = json.dumps({"__metadata__": {"sha256": UNSUMMED, **header}, **places}).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    checksum = hashlib.sha256(text)
    checksum.update(blob[start:])
    with write_whole(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text.replace(UNSUMMED.encode(), checksum.hexdigest().encode(), 1))
        file.write(blob[start:])


def _read_header(path: str | os.PathLike, wanted: str, keys: set[str]) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        header = file.metadata() or {}
    if header.get("format") != wanted:
        raise ValueError(f"its format is {header.get('format')!r}, and this version reads {wanted!r}")
    # nothing else may be there: a checksum with a broken name is not a file from before there were checksums
    if header.keys() - {"format", "sha256"} != keys:
        raise ValueError(f"its header must hold {', '.join(sorted(keys))}, got {', '.join(sorted(header))}")
    return header


def _read_tensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """The tensors, once the file is known to be as it was written, if it has a checksum. Older ones have none."""
    with safe_open(path, "pt") as file:
        claimed = file.metadata().get("sha256")
        if claimed is not None and claimed != _checksum(path, claimed):
            raise ValueError("its content is not what was written: the checksum differs")
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _checksum(path: str | os.PathLike, claimed: str) -> str:
    with open(path, "rb") as file:
        text = file.read(int.from_bytes(file.read(8), "little"))
        checksum = hashlib.sha256(text.replace(claimed.encode(), UNSUMMED.encode(), 1))
        while piece := file.read(2**20):
            checksum.update(piece)
    return checksum.hexdigest()
