"""Put the trained parts of the systems into the package, one byte for each weight.

    minidiffusion train stable_diffusion --out parts && minidiffusion train dalle2 --out parts
    python figures/systems/ship.py parts

The header of each file keeps recipe, seed, steps and versions, and gets the quality that quality.py measured, if its
JSON is there.
"""

import json
import sys
from pathlib import Path

import torch

import minidiffusion as md
from minidiffusion.systems.shipped import PARTS, WEIGHTS
from minidiffusion.training.checkpoint import read_header

HERE = Path(__file__).parent


def quality(system: str) -> dict[str, float]:
    """The judge's scores of a system, by split."""
    file = HERE / f"{system}.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    return {split: round(part["drawn"], 3) for split, part in found.items() if isinstance(part, dict)}


if __name__ == "__main__":
    folder, total = Path(sys.argv[1]), 0
    for system, names in PARTS.items():
        for name in names:
            file = folder / f"{name}.safetensors"
            about = read_header(file)["about"]
            if name in ("stable_diffusion", "decoder"):
                about["top1_of_500"] = quality(system)
            md.save(md.load(file), WEIGHTS / file.name, about, torch.int8)
    for name in sorted({*sum(PARTS.values(), ())}):
        size = (WEIGHTS / f"{name}.safetensors").stat().st_size
        total += size
        print(f"{name:35} {size / 1e6:6.2f} MB")
    print(f"{'all':35} {total / 1e6:6.2f} MB")
