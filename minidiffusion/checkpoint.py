"""Checkpoints: weights as safetensors, and a header that a person can read.

The header says what is needed to build the denoiser again (network, sizes, schedule, head) and, under "about",
whatever the one who saved it wrote down: recipe, seed, versions, quality. No pickle anywhere.
"""

from __future__ import annotations

import json
import os
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from . import schedule as schedules
from .denoiser import Denoiser
from .files import write_whole
from .heads import HEADS
from .nets import NETS

FORMAT = "minidiffusion 1"


def save(
    denoiser: Denoiser, path: str | os.PathLike, about: dict[str, Any] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write the denoiser to `path`, all of it or nothing; OSError if it cannot be written.

    about: a JSON dictionary kept in the header. dtype: store the weights in this type, such as torch.float16,
    which halves the file; None keeps theirs.
    """
    if about is not None and not isinstance(about, dict):
        raise TypeError(f"about must be a JSON dictionary, got {about!r}")
    net: Any = denoiser.net
    network = type(net).__name__
    if network not in NETS:
        raise TypeError(f"denoiser.net must be one of {', '.join(NETS)} to be saved, got {network}")
    header = {
        "format": FORMAT,
        "network": network,
        "config": net.config,
        "schedule": denoiser.schedule.config(),
        "head": denoiser.head.name,
        "about": about or {},
    }
    try:
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in header.items()}
    except (TypeError, ValueError) as error:
        raise TypeError(f"about must be a JSON dictionary, got {about!r}: {error}") from None
    weights = {k: v.detach().to("cpu", dtype).contiguous() for k, v in net.state_dict().items()}
    with write_whole(path) as file:
        file.write(serialise(weights, texts))


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """What a checkpoint says of itself, without its weights. ValueError if it is not one of ours, or broken."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be a checkpoint file, and there is none at {path}")
    try:
        with safe_open(path, "pt") as file:
            raw = file.metadata() or {}
        if raw.get("format") != FORMAT:
            raise ValueError(f"its format is {raw.get('format')!r}, and this version reads {FORMAT!r}")
        parsed = {key: json.loads(raw[key]) for key in ("config", "schedule", "about")}
        if not all(isinstance(value, dict) for value in parsed.values()):
            raise ValueError("its config, schedule and about must be dictionaries")
        return {**parsed, "network": raw["network"], "head": raw["head"]}
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"path must be a minidiffusion checkpoint, and {path} is not: {error}") from None


def load(path: str | os.PathLike, device: str | torch.device = "cpu") -> Denoiser:
    """The denoiser that `save` wrote, in float32, ready to sample. ValueError if the file is not whole."""
    header = read_header(path)
    try:
        net = NETS[header["network"]](**header["config"])
        with safe_open(path, "pt") as file:
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        net.load_state_dict(weights)
        denoiser = Denoiser(net, schedules.from_config(header["schedule"]), HEADS[header["head"]])
    except (SafetensorError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ValueError(f"path must be a whole checkpoint, and {path} is not: {error}") from None
    return denoiser.to(device).eval().requires_grad_(False)


def shipped(name: str = "fashion_mnist", device: str | torch.device = "cpu") -> Denoiser:
    """The trained denoiser that comes with the package, drawing Fashion-MNIST by label (figures/ has its recipe)."""
    with as_file(files("minidiffusion") / "checkpoints" / f"{name}.safetensors") as path:
        return load(path, device)
