"""A sheet of numbered pictures for a reader who does not know their prompts, and the count of what is right.

    python figures/systems/blind.py sheet PICTURES SHEET.png      # PICTURES: a folder of PNGs and its prompts.txt
    python figures/systems/blind.py score SHEET.json ANSWERS.txt

prompts.txt has one prompt a line, in the order of the files' names. The pictures are shuffled, and the key goes into
SHEET.json. ANSWERS.txt has lines such as "7: a red apple"; a number without an answer counts as wrong.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

from minidiffusion.nets.text import Tokenizer

COLUMNS = 10
LOOKS = {"style", "noto", "fluent", "fluent-flat", "twemoji"}  # a reader is asked what it shows, not how it is drawn


def write_sheet(folder: Path, sheet: Path, seed: int = 0) -> None:
    """Write the numbered pictures, and beside them a JSON file with the prompt of each number."""
    prompts = [line.strip() for line in (folder / "prompts.txt").read_text().splitlines() if line.strip()]
    pairs = list(zip(sorted(folder.glob("*.png")), prompts, strict=True))
    random.Random(seed).shuffle(pairs)
    rows = -(-len(pairs) // COLUMNS)
    figure = Figure(figsize=(COLUMNS, 1.2 * rows), layout="constrained")
    for axis in figure.subplots(rows, COLUMNS, squeeze=False).flat:
        axis.axis("off")
    for number, (axis, (file, _)) in enumerate(zip(figure.axes, pairs, strict=False), start=1):
        axis.imshow(imread(file))
        axis.set_title(str(number), fontsize=8)
    figure.savefig(sheet, dpi=120)
    key = {str(number): prompt for number, (_, prompt) in enumerate(pairs, start=1)}
    sheet.with_suffix(".json").write_text(json.dumps(key, indent=1) + "\n")


def score(key: Mapping[str, str], answers: Mapping[str, str]) -> dict[str, float]:
    """For each number, the share of the words of its prompt that the answer has; at least half of them is named."""
    shares = {}
    for number, prompt in key.items():
        words = set(Tokenizer.split(prompt)) - LOOKS
        shares[number] = len(words & set(Tokenizer.split(answers.get(number, "")))) / len(words)
    return shares


if __name__ == "__main__":
    what, first, second = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "sheet":
        write_sheet(first, second)
    else:
        lines = (line.split(":", 1) for line in second.read_text().splitlines() if ":" in line)
        shares = score(json.loads(first.read_text()), {number.strip(): answer for number, answer in lines})
        named = sum(share >= 0.5 for share in shares.values())
        print(f"named {named} of {len(shares)}; not named: {', '.join(n for n, s in shares.items() if s < 0.5)}")
