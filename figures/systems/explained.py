"""How much of the latents Stable Diffusion's U-Net explains from the words and z_t, at several noise levels.

    python figures/systems/explained.py [--weights FOLDER]      # writes explained.json

For 1,500 pictures of the training: the variance that the best guess z_0_hat leaves, over that around the mean latent,
for people and for everything else. At t = 1 there is only noise, so what is explained there comes from the words.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from quality import chosen

import minidiffusion as md
from minidiffusion.systems.shipped import WEIGHTS

HERE, COUNT, TIMES = Path(__file__).parent, 1500, (1.0, 0.8, 0.6, 0.4, 0.2)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the folder with the trained parts")
    sd = md.systems.stable_diffusion(folder=parser.parse().weights)
    pictures, captions, index = chosen("train", COUNT)
    every = captions.prompts()
    words = sd.clip.words([every[i] for i in index])
    z = torch.cat([sd.encode(part) for part in pictures.split(100)]).float()
    people = torch.tensor([captions.group[i] == "people-body" for i in index])
    around = (z - z.mean(0)).square().flatten(1).mean(1)
    rows = []
    for t in TIMES:
        eps = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
        level = sd.denoise.schedule.at(t)
        z_t = level.alpha * z + level.sigma * eps
        parts = zip(z_t.split(100), words.split(100), strict=True)
        left = (torch.cat([sd.denoise(x, t, cond) for x, cond in parts]) - z).square().flatten(1).mean(1)
        groups = {"people": people, "others": ~people}
        rows.append({"t": t} | {name: (1 - left[g].sum() / around[g].sum()).item() for name, g in groups.items()})
        print(rows[-1], flush=True)
    found = {"command": "python figures/systems/explained.py", "count": COUNT, "explained": rows}
    (HERE / "explained.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        main()
