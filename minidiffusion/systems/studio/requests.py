"""What one can ask for. Each function returns the records of new pictures, and for each the pictures it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ... import check
from .. import latent_diffusion, unclip
from .files import given
from .records import LONGEST, SYSTEMS, Picture, Record

Request = tuple[list[Record], list[list[Picture]]]

DEFAULTS = {
    "stable_diffusion": (latent_diffusion.SCALE, latent_diffusion.STEPS),
    "dalle2": (unclip.SCALE, unclip.STEPS),
}
STRENGTH = {"stable_diffusion": 0.6, "dalle2": 0.4}  # how much a variation replaces
LONG = 20_000  # characters of a record; a parent with a longer one is kept as a picture instead


def imagine(
    prompt: str,
    no: str = "",
    seed: int = 0,
    system: str = SYSTEMS[0],
    count: int = 4,
    scale: float | None = None,
    steps: int | None = None,
) -> Request:
    """`count` pictures of a prompt, with the seeds seed, seed + 1, and so on."""
    own = DEFAULTS[check.one_of("system", system, DEFAULTS)]
    first = Record(
        "imagine", system, prompt, no, seed, own[0] if scale is None else scale, own[1] if steps is None else steps
    )
    return [replace(first, seed=seed + i) for i in range(count)], [[] for _ in range(count)]


def vary(pictures: Sequence[Picture], seed: int = 0, count: int = 4) -> Request:
    """`count` variations of these pictures in turn, each by the system that drew it; DALL-E 2 varies all others."""
    parents = [[pictures[i % len(pictures)]] for i in range(count)]
    records = []
    for i, (parent,) in enumerate(parents):
        system = parent.record.system if parent.record.prompt else "dalle2"  # Stable Diffusion would need a prompt
        made = _child("vary", system, [parent], seed + i)
        records.append(replace(made, share=STRENGTH[system]))
    return records, parents


def blend(a: Picture, b: Picture, seed: int = 0, count: int = 4) -> Request:
    """`count` pictures on the way from one picture to another, evenly spaced; a single one is half way."""
    record = _child("blend", "dalle2", [a, b], seed)
    shares = [round((i + 1) / (count + 1), 6) for i in range(count)]
    return [replace(record, seed=seed + i, share=share) for i, share in enumerate(shares)], [[a, b]] * count


def pan(picture: Picture, to: str, seed: int = 0, count: int = 4) -> Request:
    """`count` ways in which the scene may go on to this side. Stable Diffusion fills it in, under the same prompt."""
    record = _child("pan", "stable_diffusion", [picture], seed, to)
    return [replace(record, seed=seed + i) for i in range(count)], [[picture]] * count


def enlarge(pictures: Sequence[Picture], seed: int = 0) -> Request:
    """Each of the pictures at four times its size, by DALL-E 2's upsampler."""
    return [_child("enlarge", "dalle2", [one], seed + i) for i, one in enumerate(pictures)], [[one] for one in pictures]


def _child(done: str, system: str, parents: Sequence[Picture], seed: int, to: str = "") -> Record:
    """The record of a picture made from others: with their prompts, and their settings if the system is the same."""
    records = [parent.record if parent.record.length() <= LONG else given(parent.pixels) for parent in parents]
    first = parents[0].record
    scale, steps = (first.scale, first.steps) if first.system == system and first.done != "given" else DEFAULTS[system]
    prompt = ", ".join(dict.fromkeys(parent.record.prompt for parent in parents if parent.record.prompt))[:LONGEST]
    return Record(done, system, prompt, first.no, seed, scale, steps, to=to, parents=tuple(records))
