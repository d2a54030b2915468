"""The model card beside a trained network: what it learned from, how it was trained and how to sample from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data import LICENCES

SAMPLE = """
Sample from it, and measure its quality, which nobody has done for this card:

```sh
minidiffusion sample --checkpoint {file}
minidiffusion evaluate {file}{against}
```
"""


def card(file: str, plan: Mapping[str, Any], about: Mapping[str, Any], weights: int) -> str:
    """The text of the card, in Markdown. plan: the settings of the training. about: what the checkpoint notes."""
    data = " ".join(str(about.get("data", plan.get("data"))).split())
    licence = LICENCES.get(data, "yours to note here: may these pictures be used, and may samples be passed on?")
    versions = f"minidiffusion {about['minidiffusion']} and PyTorch {about['torch']}"
    lines = [
        f"# {file}",
        "",
        f"A network of {weights:,} weights, trained by {versions}.",
        "",
        f"- **Data:** {data}",
        f"- **Licence of the data:** {licence}",
        f"- **Training:** {about['steps']:,} of {plan['steps']:,} steps, seed {plan['seed']}, recipe {plan['recipe']}",
    ]
    known = ("data", "steps", "seed", "recipe")
    lines += [f"- **{key.replace('_', ' ').capitalize()}:** {value}" for key, value in plan.items() if key not in known]
    if "shape" not in about:
        return "\n".join([*lines, "", f"In Python, `minidiffusion.load({str(Path(file).name)!r})` returns it.", ""])
    return "\n".join(lines) + "\n" + SAMPLE.format(file=file, against="" if data in LICENCES else " --against FOLDER")
