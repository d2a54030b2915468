"""From records to pictures. The same record gives the same pixels, alone or beside others."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from ...data import to_float, to_uint8
from ...training.device import has_fast_bfloat16
from ..unclip import DALLE2
from .files import SIDE, unpacked
from .records import Picture, Record

SHIFT = 24  # pixels by which a pan moves the picture
AXES = {
    "left": (SHIFT, 2),
    "right": (-SHIFT, 2),
    "up": (SHIFT, 1),
    "down": (-SHIFT, 1),
}  # the scene moves the other way


def draw(
    systems: Mapping[str, Any], records: Sequence[Record], parents: Sequence[Sequence[Picture]] | None = None
) -> list[Picture]:
    """The pictures of these records. parents: for each the pictures that it is made from; None draws them, too.

    systems: by name, a StableDiffusion under "stable_diffusion" and a DALLE2 under "dalle2". Only those are looked up
    that the records need.
    """
    if parents is None:
        once = list(dict.fromkeys(parent for record in records for parent in record.parents))
        drawn = dict(zip(once, draw(systems, once), strict=True)) if once else {}
        parents = [[drawn[parent] for parent in record.parents] for record in records]
    pictures: list[Picture] = []
    for _, group in itertools.groupby(enumerate(zip(records, parents, strict=True)), _together):
        members = [member for _, member in group]
        own = [record for record, _ in members]
        if own[0].done == "given":
            pixels = torch.stack([unpacked(record) for record in own])
        else:
            columns = zip(*(made_from for _, made_from in members), strict=True)
            sources = [_small(torch.stack([picture.pixels for picture in column])) for column in columns]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # unknown words, which typed.notes has named already
                pixels = to_uint8(_draw(systems[own[0].system], own, sources).cpu())
        pictures += [Picture(record, one) for record, one in zip(own, pixels, strict=True)]
    return pictures


def _together(numbered: tuple[int, tuple[Record, Sequence[Picture]]]) -> tuple:
    """Neighbours with the same key are drawn in one batch, which is twice as fast.

    In bfloat16 a batch gives each of its pictures the same pixels as alone. In float32 about one value in 20,000
    differs by one level, so there every picture is drawn alone.
    """
    number, (record, _) = numbered
    alone = -1 if has_fast_bfloat16(torch.device("cpu")) else number
    share = None if record.done == "blend" else record.share
    return record.done, record.system, record.no, record.scale, record.steps, share, record.to, alone


def _draw(system: Any, records: list[Record], sources: list[Tensor]) -> Float[Tensor, "batch 3 side side"]:
    """The pictures of records that agree in all but prompt, seed, parents and, in a blend, the share."""
    first, prompts = records[0], [record.prompt for record in records]
    each = [Generator().manual_seed(record.seed) for record in records]
    how: dict[str, Any] = {"scale": first.scale, "steps": first.steps}
    away: dict[str, Any] = {"against": first.no or None, **how}
    if first.done == "vary" and isinstance(system, DALLE2):
        return system.vary(sources[0], each, first.share, **how)
    if first.done == "vary":
        return system.redraw(sources[0], prompts, first.share, each, **away)
    if first.done == "blend":
        alike = all(record.parents == first.parents for record in records)  # so that each is inverted only once
        a, b = (source[:1] if alike else source for source in sources)
        return system.blend(a, b, [record.share for record in records], each, **how)
    if first.done == "pan":
        by, axis = AXES[first.to]
        known = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        known.narrow(axis - 1, max(by, 0), SIDE - SHIFT).fill_(True)
        return system.fill(sources[0].roll(by, axis + 1), known, prompts, each, **away)
    if first.done == "enlarge":
        return system.enlarge(system.enlarge(sources[0], each), each)
    return system.draw(prompts, each, **away)


def _small(pixels: UInt8[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 3 64 64"]:
    """The pictures as floats; an enlarged one is brought back to 64x64, each pixel the mean of its square."""
    return F.avg_pool2d(to_float(pixels), pixels.shape[2] // SIDE)
