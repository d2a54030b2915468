"""Judge what a system draws: whether the judge finds its prompt among 500, and how far its pictures are from real ones.

    python figures/systems/quality.py [--system stable_diffusion] [--count 2000] [--weights FOLDER]

For seen prompts, for prompts with unseen tones, and for unseen pairs of thing and style, it draws `count` pictures, or
as many as there are. Every score stands beside that of the real pictures, that of the drawings with shuffled prompts,
and chance. The Frechet distance is that to other real pictures of the training, as many as were drawn; its floor is
that of the prompts' own pictures to these. A drawing is a copy if its nearest picture of the training is less than a
third as far as the second nearest. Writes NAME.json beside this script, and needs the file that judge.py writes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from judge import Judge, load_judge
from torch import Tensor

import minidiffusion as md
from minidiffusion.data.emoji import Captions, load_emoji
from minidiffusion.metrics import copy_ratio, frechet_distance
from minidiffusion.systems.shipped import WEIGHTS

HERE, POOL = Path(__file__).parent, 500
SPLITS = ("train", "unseen_tone", "unseen_style")


def top1(judge: Judge, pictures: Tensor, prompts: list[str], pool: int = POOL, rounds: int = 8) -> tuple[float, Tensor]:
    """How often a picture's own prompt is the nearest of `pool`: the mean, and the share of each, nan if not asked."""
    image, text = embed(judge, pictures), judge.text(prompts)
    generator, right, asked = torch.Generator().manual_seed(0), torch.zeros(len(prompts)), torch.zeros(len(prompts))
    for _ in range(rounds):
        index = torch.randperm(len(prompts), generator=generator)[:pool]
        likeness = image[index] @ text[index].T
        right[index] += (likeness >= likeness.diagonal()[:, None]).sum(1) == 1
        asked[index] += 1
    each = right / asked
    return each.nanmean().item(), each


def embed(judge: Judge, pictures: Tensor) -> Tensor:
    return torch.cat([judge.image(part) for part in pictures.split(100)])


def features(judge: Judge, pictures: Tensor) -> Tensor:
    return torch.cat([judge.image_encoder.features(part) for part in pictures.split(100)])


def chosen(split: str, count: int) -> tuple[Tensor, Captions, list[int]]:
    """Up to `count` pictures of a split, the same ones every time."""
    images, captions = load_emoji(split)
    index = torch.randperm(len(captions), generator=torch.Generator().manual_seed(1))[:count].tolist()
    return md.datasets.to_float(images[index]), captions, index


def draw(system: Any, prompts: list[str]) -> Tensor:
    """A picture for each prompt, the one with seed i for prompt i."""
    parts = []
    for i in range(0, len(prompts), 50):
        part = prompts[i : i + 50]
        parts.append(system.draw(part, [torch.Generator().manual_seed(i + j) for j in range(len(part))]))
    return torch.cat(parts)


def copied(pictures: Tensor, training: Tensor) -> float:
    """The share of copies, told at 16x16 pixels."""
    small, known = (F.avg_pool2d(x, 4).flatten(1) for x in (pictures, md.datasets.to_float(training)))
    return copy_ratio(small, known).share


def judged(judge: Judge, drawn: Tensor, real: Tensor, prompts: list[str], groups: list[str]) -> dict[str, Any]:
    score, each = top1(judge, drawn, prompts)
    best, best_each = top1(judge, real, prompts)
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(2))
    shuffled, _ = top1(judge, drawn, [prompts[i] for i in order])
    count = len(prompts)
    result = {
        "count": count,
        "drawn": score,
        "standard_error": math.sqrt(score * (1 - score) / count),
        "real": best,
        "share_of_real": score / best,
        "shuffled": shuffled,
        "chance": 1 / min(POOL, count),
    }
    by_group = {}
    for group in sorted(set(groups)):
        mine = torch.tensor([g == group for g in groups])
        asked = int(each[mine].isfinite().sum())
        by_group[group] = [asked, each[mine].nanmean().item(), best_each[mine].nanmean().item()]
    return result | {"by_group [count, drawn, real]": by_group}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="stable_diffusion", choices=("stable_diffusion", "dalle2"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the folder with the trained parts")
    args = parser.parse_args()
    judge, system = load_judge(), getattr(md.systems, args.system)(folder=args.weights)
    result: dict[str, Any] = {
        "command": f"python figures/systems/quality.py --system {args.system} --count {args.count}"
    }
    training, _ = load_emoji("train")
    for split in SPLITS:
        real, captions, index = chosen(split, args.count)
        left = sorted(set(range(len(training))) - set(index if split == "train" else []))
        others = torch.tensor(left)[torch.randperm(len(left), generator=torch.Generator().manual_seed(3))[: len(real)]]
        every = captions.prompts()
        prompts, began = [every[i] for i in index], time.perf_counter()
        drawn = draw(system, prompts)
        seconds = (time.perf_counter() - began) / len(prompts)
        with torch.no_grad():
            result[split] = judged(judge, drawn, real, prompts, [captions.group[i] for i in index])
            far = features(judge, md.datasets.to_float(training[others])).double()
            distance, floor = (frechet_distance(features(judge, x).double(), far) for x in (drawn, real))
            result[split] |= {"frechet": distance, "frechet_floor": floor, "copies": copied(drawn, training)}
        result[split] |= {"seconds_a_picture": seconds}
        print(split, json.dumps(result[split], indent=1), flush=True)
    (HERE / f"{args.system}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        main()
