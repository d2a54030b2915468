"""What somebody typed, as in Midjourney: a prompt, and after it --no and --seed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...nets.text import Tokenizer
from .. import prompts

OPTION = re.compile(r"(?:^|\s)(?:--|—)(\w+)")  # telephones turn two hyphens into a dash


@dataclass(frozen=True)
class Typed:
    """A line taken apart. no: what the picture should not show. seed: None if there was none. notes: for the writer."""

    prompt: str
    no: str = ""
    seed: int | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, line: str) -> Typed:
        """Take a line apart. ValueError if its seed is not a whole number."""
        prompt, *rest = OPTION.split(clean(line))
        no, seed, notes = [], None, []
        for name, value in zip(rest[::2], (value.strip() for value in rest[1::2]), strict=True):
            if name == "no":
                no.append(value)
            elif name == "seed":
                if not re.fullmatch("[0-9]{1,18}", value):
                    raise ValueError(f"--seed must be a whole number of at least 0, got {value[:40]!r}")
                seed = int(value)
            else:
                notes.append(f"--{name[:40]}: left out, because only --no and --seed are known here")
        return cls(prompt.strip(), ", ".join(filter(None, no)), seed, tuple(notes))


def clean(line: str) -> str:
    """The line without line breaks and control characters, each run of them and of spaces as one space."""
    return " ".join("".join(char if char.isprintable() else " " for char in line).split())


def notes(tokenizer: Tokenizer, prompt: str, no: str = "") -> list[str]:
    """What to tell the writer: unknown words, with near ones, and what is missing or too long."""
    said = [*prompts.notes(tokenizer, prompt), *(f"--no {note}" for note in prompts.notes(tokenizer, no))]
    if not tokenizer.words(prompt)[0]:
        said.append(f"{'no known word is left' if prompt else 'the prompt is empty'}, so the picture may show anything")
    return said
