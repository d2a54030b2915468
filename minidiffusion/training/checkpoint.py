"""Checkpoints: safetensors files whose header says how to build the denoiser again. Nothing is ever pickled.

The header is one JSON text that a person can read: the network and its sizes, the schedule, the head, a checksum of the
file, and under "about" whatever the author noted, such as recipe, seed, versions and quality. A training that will be
continued needs more tensors than the weights (training/state.py lists them) and saves them in a file of the same make.
The same content always gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from .. import check
from ..denoiser import Denoiser
from ..heads import HEADS
from ..nets import NETS, Net
from ..objectives import LearnedSchedule
from ..schedule import NAMED, Schedule, from_betas, shifted, zero_terminal_snr
from .files import write_whole

SCHEDULES: dict[str, Callable[..., Schedule]] = {
    **NAMED,
    "from_betas": from_betas,
    "zero_terminal_snr": zero_terminal_snr,
    "shifted": shifted,
    "learned": LearnedSchedule,
}
FORMAT, NETWORK, TRAINING = "minidiffusion 1", "minidiffusion network 1", "minidiffusion training 1"
KEYS = {  # of the header, by format, besides its sha256 and format
    FORMAT: ("network", "config", "schedule", "head", "about"),
    NETWORK: ("network", "config", "about"),  # no denoiser, such as an autoencoder
    TRAINING: ("about",),
}
HOLDS = {FORMAT: "a denoiser", NETWORK: "a network that is no denoiser", TRAINING: "the state of a training"}
NESTED = ("config", "schedule", "about")  # dictionaries in the header; the rest are strings
SCALE = ":scale"  # what the name of a packed weight's scales ends with
LONGEST = 500  # characters of what a hostile file can put into a message
ZEROS = "0" * 64  # takes the place of the checksum while the checksum is computed


def save(
    denoiser: Denoiser | Net,
    path: str | os.PathLike,
    about: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a denoiser, or a network, to `path`. After an OSError, whatever was there before is still there.

    about: notes for the header, a dictionary that JSON can hold. dtype: the type in which to store the weights, such
    as torch.float16, which halves the file, or torch.int8, a quarter of it: see `_packed`; None keeps their own.
    """
    known = dtype is None or (isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype == torch.int8))
    check.must_be("a floating point torch.dtype, such as torch.float16, or torch.int8", "dtype", dtype, known)
    net: Any = denoiser.net if isinstance(denoiser, Denoiser) else denoiser
    network = type(net).__name__
    if not isinstance(net, Net):
        own = "a class of your own derived from md.nets.Net, which notes how to build it"
        keep = "or keep the weights with torch.save(net.state_dict(), path)"
        raise ValueError(f"denoiser.net must be one of {', '.join(NETS)} or {own}, got {network}; {keep}")
    header = {"network": network, "config": net.config, "about": {} if about is None else about}
    if isinstance(denoiser, Denoiser):
        if denoiser.shape is not None and isinstance(header["about"], dict):
            header["about"] = header["about"] | {"shape": header["about"].get("shape", list(denoiser.shape))}
        header |= {"schedule": denoiser.schedule.config(), "head": denoiser.head.name}
    format = FORMAT if isinstance(denoiser, Denoiser) else NETWORK
    weights = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    if dtype == torch.int8:
        weights = _packed(weights)
    elif dtype is not None:
        weights = {name: value.to(dtype) for name, value in weights.items()}
    _write(path, format, header, weights)


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """Read how a checkpoint describes itself, without its weights. ValueError if it is damaged or no checkpoint."""
    with _naming(path), safe_open(path, "pt") as file:
        return _header(file.metadata(), FORMAT, NETWORK)


def load(path: str | os.PathLike, device: str | torch.device = "cpu") -> Any:
    """Load the denoiser or network that `save` wrote, in float32, ready to use. ValueError if the file is damaged."""
    header, weights = _whole(path, FORMAT, NETWORK)
    with _naming(path):
        weights = _unpacked(weights)
        net = _without_memory(check.one_of("network", header["network"], NETS), header["config"], len(weights))
        wanted = net.state_dict()
        if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in weights.items()}:
            raise ValueError("its weights are not those of its network")
        if broken := [name for name, _ in net.named_parameters() if not weights[name].isfinite().all()]:
            raise ValueError(f"not all numbers in its weights are finite, such as those of {broken[0]}")
        net.load_state_dict({k: weights[k].to(v.dtype) for k, v in wanted.items()}, assign=True)
        if header["format"] == FORMAT:
            head = HEADS[check.one_of("head", header["head"], HEADS)]
            net = Denoiser(net, schedule_from(header["schedule"]), head)
            shape = header["about"].get("shape")
            net.shape = tuple(shape) if isinstance(shape, list) else None
    return net.to(device).eval().requires_grad_(False)


def save_training(state: Mapping[str, Tensor], path: str | os.PathLike, about: dict[str, Any]) -> None:
    """Write the `step.state()` of a training to `path`, whole or not at all; `fit(..., state=...)` continues it."""
    _write(path, TRAINING, {"about": about}, state)


def load_training(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Load the state and the notes that `save_training` wrote. ValueError if the file is damaged."""
    header, tensors = _whole(path, TRAINING)
    return tensors, header["about"]


def schedule_from(config: dict[str, Any]) -> Schedule:
    """The schedule whose `config()` this is; ValueError if there is no such schedule."""
    check.must_be("a dictionary with a name", "config", config, isinstance(config, dict))
    arguments = {key: schedule_from(value) if key == "schedule" else value for key, value in config.items()}
    make = SCHEDULES[check.one_of("name", arguments.pop("name", None), SCHEDULES)]
    try:
        return make(**arguments)
    except TypeError as error:
        raise ValueError(f"config must be that of a schedule: {error}") from None


def shipped(name: str = "fashion_mnist", device: str | torch.device = "cpu") -> Denoiser:
    """Load a trained denoiser that comes with the package. Both generate Fashion-MNIST by label; figures/ made them.

    fashion_mnist: for 24 steps or so of dpmpp_2m. fashion_mnist_few: distilled from it, for 1 to 4 of consistency.
    """
    with as_file(files("minidiffusion") / "weights" / f"{name}.safetensors") as path:
        return load(path, device)


def _without_memory(network: str, config: dict[str, Any], most: int) -> nn.Module:
    """The network on the meta device; ValueError before it has more than `most` weights, whatever its header asks."""
    count, here = itertools.count(1), threading.get_ident()  # another thread may be making a network, too

    def limit(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        if parameter.is_meta and threading.get_ident() == here and next(count) > most:
            raise ValueError(f"its network has more weight tensors than the {most} of the file")

    with register_module_parameter_registration_hook(limit), torch.device("meta"):
        return NETS[network](**config)


def _packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix or kernel as whole numbers of one byte, times one scale for each row; the rest in half precision.

    Rounding to 127 steps moves a weight by at most half a step: a few parts in a thousand of the largest in its row.
    """
    stored = {}
    for name, value in weights.items():
        if value.ndim < 2:
            stored[name] = value.half()
            continue
        scale = (value.flatten(1).abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        stored[name + SCALE] = scale
        stored[name] = (value / _rowwise(scale, value)).round().to(torch.int8)
    return stored


def _unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = {name: value for name, value in stored.items() if not name.endswith(SCALE)}
    for name, value in weights.items():
        if value.dtype == torch.int8:
            weights[name] = value * _rowwise(stored[name + SCALE], value)
    if len(stored) - len(weights) != sum(name + SCALE in stored for name in weights):
        raise ValueError("it has a scale without a weight")
    return weights


def _rowwise(scale: Tensor, value: Tensor) -> Tensor:
    """One number for each row, in a shape that multiplies the rows and can make nothing larger."""
    return scale.view(len(value), *[1] * (value.ndim - 1))


# The file


@contextlib.contextmanager
def _naming(path: str | os.PathLike) -> Iterator[None]:
    """Turn every error that a missing or damaged file causes into one sentence with its path."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be a checkpoint file, and there is none at {str(path)[:LONGEST]}")
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:LONGEST]
        raise ValueError(f"path must be a whole minidiffusion checkpoint, and {path} is not: {why}") from None


def _write(path: str | os.PathLike, format: str, header: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    try:
        text = json.dumps({"sha256": ZEROS, "format": format, **header, "about": {**header["about"]}})
    except (TypeError, ValueError) as error:
        raise TypeError(f"about must be a dictionary that JSON can hold: {error}") from None
    # under one key, because safetensors would write several in another order on every run
    blob = serialise({name: tensor.contiguous() for name, tensor in tensors.items()}, {"minidiffusion": text})
    with write_whole(path) as file:
        file.write(blob.replace(ZEROS.encode(), _checksum(blob, ZEROS).encode(), 1))


def _whole(path: str | os.PathLike, *formats: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors, from one reading of the file, because another process may replace it meanwhile."""
    with _naming(path):
        blob = Path(path).read_bytes()
        tensors = deserialise(blob)
        header = _header(json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")]).get("__metadata__"), *formats)
        if header["sha256"] not in ("", _checksum(blob, header["sha256"])):
            raise ValueError("its content is not what was written: the checksum differs")
        return header, tensors


def _header(found: dict[str, str] | None, *formats: str) -> dict[str, Any]:
    """What the notes of a safetensors file say, if they are those of a checkpoint of one of these formats."""
    found = found or {}
    if "minidiffusion" in found:
        header = dict(json.loads(found["minidiffusion"]))
    else:  # up to version 0.2 each entry was a text of its own, at first without a checksum
        header = {"sha256": "", **{k: json.loads(v) if k in NESTED else v for k, v in found.items()}}
    format = header.get("format")
    if format in HOLDS and format not in formats:
        wanted = " or ".join(HOLDS[one] for one in formats)
        raise ValueError(f"it holds {HOLDS[format]}, and {wanted} is needed here")
    if format not in formats:
        raise ValueError(f"its format is {check.came(format)}, and this version reads {' or '.join(formats)}")
    types = {key: dict if key in NESTED else str for key in ("sha256", "format", *KEYS[format])}
    if {key: type(value) for key, value in header.items()} != types:
        raise ValueError(f"its header must hold {', '.join(types)}, with dictionaries for {', '.join(NESTED)}")
    return header


def _checksum(blob: bytes, claimed: str) -> str:
    """The sha256 of a file from its ninth byte on, with zeros in the place of the checksum that it claims."""
    place, view, checksum = blob.find(claimed.encode(), 8), memoryview(blob), hashlib.sha256()
    for piece in (view[8:place], ZEROS.encode(), view[place + len(claimed) :]):
        checksum.update(piece)
    return checksum.hexdigest()
