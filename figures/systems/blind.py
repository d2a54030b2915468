"""Can a reader who does not know the prompts say what the pictures show?

    python figures/systems/blind.py draw FOLDER      # sheets of numbered pictures: FOLDER/<source>/1.png ... 5.png
    python figures/systems/blind.py score FOLDER     # counts FOLDER/<source>/answers.txt, and writes blind.json

The same 100 seen prompts, eleven from each of nine groups and one more, once as the real pictures and once drawn by
each system; picture i has seed i. A reader gets the sheets of one source, and writes lines such as "7: a red apple"
into answers.txt. Then somebody who sees neither the pictures nor where an answer comes from compares each answer with
its prompt (FOLDER/to_mark.txt), and writes the numbers of those that name the same thing into FOLDER/marked.txt.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from matplotlib.figure import Figure
from quality import chosen, draw
from torch import Tensor

import minidiffusion as md
from minidiffusion.data.emoji import load_emoji

HERE, COUNT, SHEET, COLUMNS = Path(__file__).parent, 100, 20, 5
SOURCES = ("real", "stable_diffusion", "dalle2")


def asked() -> tuple[list[str], Tensor]:
    """The prompts and the real pictures, group by group in turn."""
    real, captions, index = chosen("train", len(load_emoji("train")[1]))
    every = captions.prompts()
    waiting: dict[str, list[int]] = {}
    for place, i in enumerate(index):
        waiting.setdefault(captions.group[i], []).append(place)
    places = [places[turn] for turn in range(COUNT) for _, places in sorted(waiting.items())][:COUNT]
    random.Random(0).shuffle(places)
    return [every[index[place]] for place in places], real[places]


def write_sheets(folder: Path) -> None:
    prompts, real = asked()
    folder.mkdir(parents=True)
    (folder / "prompts.json").write_text(json.dumps(prompts, indent=1) + "\n")
    for source in SOURCES:
        pictures = real if source == "real" else draw(getattr(md.systems, source)(), prompts)
        (folder / source).mkdir()
        for first in range(0, COUNT, SHEET):
            figure = Figure(figsize=(10, 9), layout="constrained")
            for number, axis in enumerate(figure.subplots(SHEET // COLUMNS, COLUMNS).flat, start=first):
                axis.imshow(md.datasets.to_uint8(pictures[number].clamp(-1, 1)).permute(1, 2, 0))
                axis.set_title(str(number + 1))
                axis.axis("off")
            figure.savefig(folder / source / f"{first // SHEET + 1}.png", dpi=100)


def score(folder: Path) -> None:
    prompts = json.loads((folder / "prompts.json").read_text())
    answers = {source: read_answers(folder / source / "answers.txt") for source in SOURCES}
    lines = [(source, number) for source in SOURCES for number in range(1, COUNT + 1)]
    random.Random(1).shuffle(lines)
    said = [f"{i}: {prompts[n - 1]}  |  {answers[s].get(n, '')}" for i, (s, n) in enumerate(lines, start=1)]
    (folder / "to_mark.txt").write_text("\n".join(said) + "\n")
    if not (folder / "marked.txt").exists():
        raise SystemExit(f"wrote {folder / 'to_mark.txt'}; run this again when marked.txt is there")
    marked = {lines[int(i) - 1] for i in (folder / "marked.txt").read_text().split()}
    named = {source: sum(place in marked for place in lines if place[0] == source) for source in SOURCES}
    _, captions = load_emoji("train")
    group = dict(zip(captions.prompts(), captions.group, strict=True))
    by_group: dict[str, dict[str, int]] = {}
    for number, prompt in enumerate(prompts, start=1):
        counts = by_group.setdefault(group[prompt], dict.fromkeys(("asked", *SOURCES), 0))
        counts["asked"] += 1
        for source in SOURCES:
            counts[source] += (source, number) in marked
    rows = [
        {"prompt": prompt} | {s: [answers[s].get(n, ""), (s, n) in marked] for s in SOURCES}
        for n, prompt in enumerate(prompts, start=1)
    ]
    found = {"count": COUNT, "named": named, "by_group": by_group, "answers": rows}
    (HERE / "blind.json").write_text(json.dumps(found, indent=1) + "\n")
    print(named)


def read_answers(file: Path) -> dict[int, str]:
    lines = (line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    return {int(number): answer.strip() for number, answer in lines}


if __name__ == "__main__":
    parser = Parser(__doc__)
    parser.add_argument("what", choices=("draw", "score"))
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    args = parser.parse()
    with torch.no_grad():
        {"draw": write_sheets, "score": score}[args.what](args.folder)
