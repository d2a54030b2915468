"""What a picture was drawn from. The record is all that is needed to draw the same pixels again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from ... import check

SYSTEMS = ("stable_diffusion", "dalle2")
PARENTS = {"imagine": 0, "vary": 1, "blend": 2, "pan": 1, "enlarge": 1, "given": 0}  # what was done, to how many
SIDES = ("left", "right", "up", "down")
MOST_STEPS, MOST_SCALE = 1000, 100.0
LONGEST = 10_000  # characters of a prompt


@dataclass(frozen=True)
class Record:
    """How one picture came about. ValueError if it makes no sense, because records also come from files.

    done: a key of PARENTS; "given" is a picture from elsewhere. system: which one drew it. prompt, no: what it shows
    and what it should not show. seed: of its generator. scale, steps: of the guidance and the sampler. share: how
    much a variation replaces, or how much of the second picture is in a blend. to: where a pan went. parents: the
    records of the pictures that it was made from. png: a given picture itself, as base64.
    """

    done: str = "imagine"
    system: str = "stable_diffusion"
    prompt: str = ""
    no: str = ""
    seed: int = 0
    scale: float = 1.0
    steps: int = 1
    share: float = 0.0
    to: str = ""
    parents: tuple[Record, ...] = ()
    png: str = ""

    def __post_init__(self) -> None:
        check.one_of("done", self.done, PARENTS)
        check.one_of("system", self.system, SYSTEMS)
        for name in ("prompt", "no"):
            text = getattr(self, name)
            check.instance(name, text, str, "'blue rose'")
            if len(text) > LONGEST:
                raise ValueError(f"{name} must have at most {LONGEST:,} characters, got {len(text):,}")
            if any("\ud800" <= char <= "\udfff" for char in text):  # half a character, which no file can hold
                raise ValueError(f"{name} must be a text that UTF-8 can write, got {text[:80]!a}")
        check.whole("seed", self.seed, 0, 2**63 - 1)
        check.number("scale", self.scale, 0.0, MOST_SCALE)
        check.whole("steps", self.steps, 1, MOST_STEPS)
        check.number("share", self.share, 0.0, 1.0)
        if self.done == "pan":
            check.one_of("to", self.to, SIDES)
        check.must_be(f"{PARENTS[self.done]} records", "parents", self.parents, len(self.parents) == PARENTS[self.done])
        check.instance("png", self.png, str, "the base64 text of a PNG")

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold; fields that stayed empty are left out."""
        own = {name: value for name, value in vars(self).items() if value or name in ("prompt", "seed", "scale")}
        return own | ({"parents": [parent.as_json() for parent in self.parents]} if self.parents else {})

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Record:
        """The record of which `as_json` made this. ValueError or TypeError if it is none."""
        check.must_be("a dictionary", "record", found, isinstance(found, Mapping), TypeError)
        for name in found:
            check.one_of("a field of a record", name, [field.name for field in fields(cls)])
        return cls(**{**found, "parents": tuple(cls.of(parent) for parent in found.get("parents", ()))})

    def length(self) -> int:
        """Characters of its JSON."""
        return len(json.dumps(self.as_json(), ensure_ascii=False))

    def title(self) -> str:
        """What the picture shows, for people who cannot see it."""
        shown = self.prompt or ("a picture from elsewhere" if self.done == "given" else "a picture without a prompt")
        if self.done == "blend":
            return "a blend of " + " and ".join(parent.title() for parent in self.parents)
        after = {"pan": f", seen further {self.to}", "enlarge": ", enlarged"}
        return f"{'a variation of ' * (self.done == 'vary')}{shown}{after.get(self.done, '')}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its record. pixels: 64x64, or 256x256 once it is enlarged."""

    record: Record
    pixels: UInt8[Tensor, "3 side side"]
