"""How much of the latents Stable Diffusion's U-Net explains from the words and z_t, at several noise levels.

    python figures/systems/explained.py [--weights FOLDER]      # writes explained.json

For 1,500 pictures of the training, and for things in an unseen style: the variance that the best guess z_0_hat leaves,
over that around the mean latent, for people and for everything else. At t = 1 there is only noise, so what is explained
there comes from the words. The sketch, which sees the words alone, has a row of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from quality import chosen
from torch import Tensor

import minidiffusion as md
from minidiffusion.systems.shipped import WEIGHTS

HERE, COUNT, TIMES = Path(__file__).parent, 1500, (1.0, 0.8, 0.6, 0.4, 0.2)


def explained(sd: md.systems.StableDiffusion, split: str) -> dict[str, Any]:
    """The shares that are explained for up to COUNT pictures of a split, by the sketch and at each time."""
    pictures, captions, index = chosen(split, COUNT)
    every = captions.prompts()
    words = sd.clip.words([every[i] for i in index])
    z = torch.cat([sd.encode(part) for part in pictures.split(100)]).float()
    people = torch.tensor([captions.group[i] == "people-body" for i in index])
    around = (z - z.mean(0)).square().flatten(1).mean(1)

    def share(guess: Callable[[Tensor, Tensor], Tensor], z_t: Tensor) -> dict[str, float]:
        parts = zip(z_t.split(100), words.split(100), strict=True)
        left = (torch.cat([guess(*part) for part in parts]) - z).square().flatten(1).mean(1)
        groups = {"people": people, "others": ~people}
        return {name: round(1 - (left[g].sum() / around[g].sum()).item(), 4) for name, g in groups.items()}

    rows: dict[str, Any] = {"the sketch alone": share(lambda _, cond: sd.denoise.net.sketch(cond), z)}
    for t in TIMES:
        eps = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
        level = sd.denoise.schedule.at(t)
        rows[f"t = {t}"] = share(lambda x, cond, t=t: sd.denoise(x, t, cond), level.alpha * z + level.sigma * eps)
    return {"count": len(index)} | rows


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the folder with the trained parts")
    sd = md.systems.stable_diffusion(folder=parser.parse().weights)
    found: dict[str, Any] = {"command": "python figures/systems/explained.py"}
    found |= {split: explained(sd, split) for split in ("train", "unseen_style")}
    (HERE / "explained.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    with torch.no_grad():
        main()
