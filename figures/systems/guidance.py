"""Guidance at some times only: how often the judge finds the prompt, and how various the drawings are.

    python figures/systems/guidance.py                 writes guidance.json and prints its rows

Stable Diffusion draws 1,000 seen prompts, each with its own seed, for each scale and interval of times in SETTINGS. The
Frechet distance is that to 1,000 other pictures of the training, as in quality.py, and `real` is that of real pictures.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from judge import load_judge
from quality import chosen, features, top1

import minidiffusion as md
from minidiffusion.data.emoji import load_emoji
from minidiffusion.guidance import classifier_free
from minidiffusion.metrics import frechet_distance

COUNT = 1000
SETTINGS = [  # scale, times, steps
    *[(3.0, times, 12) for times in ((0.25, 1.0), (0.0, 0.8), (0.25, 0.8), (0.4, 0.8))],
    *[(2.0, times, 12) for times in ((0.0, 1.0), (0.25, 0.85), (0.0, 0.7))],
    *[(4.0, times, 12) for times in ((0.0, 1.0), (0.25, 0.85), (0.25, 0.8), (0.3, 0.75), (0.4, 0.75))],
    *[(5.0, (0.25, 0.8), 12), (3.0, (0.0, 1.0), 20), (1.5, (0.0, 1.0), 20)],
]


@torch.no_grad()
def main() -> None:
    judge, system = load_judge(), md.systems.stable_diffusion()
    training, _ = load_emoji("train")
    real, captions, index = chosen("train", COUNT)
    every = captions.prompts()
    prompts, left = [every[i] for i in index], torch.tensor(sorted(set(range(len(training))) - set(index)))
    others = left[torch.randperm(len(left), generator=torch.Generator().manual_seed(3))[:COUNT]]
    far = features(judge, md.datasets.to_float(training[others])).double()
    rows = []
    for scale, times, steps in [(0.0, (0.0, 0.0), 0), *SETTINGS]:
        pictures = real
        if steps:
            parts = []
            for i in range(0, COUNT, 50):
                words, _ = system.guided(prompts[i : i + 50], 1.0)
                guided = classifier_free(system.denoise, scale, interval=times)
                z = system.noise(50, [torch.Generator().manual_seed(i + j) for j in range(50)])
                parts.append(system.decode(system._sample(guided, z, words, steps)))
            pictures = torch.cat(parts)
        found = {"judged": top1(judge, pictures, prompts)[0]}
        found["frechet"] = frechet_distance(features(judge, pictures).double(), far)
        rows.append({"scale": scale, "times": times, "steps": steps, **found} if steps else {"real": True, **found})
        print(rows[-1], flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
