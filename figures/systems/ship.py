"""Put the trained parts of the systems into the package, in half precision.

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
from minidiffusion.systems.recipes import SYSTEMS
from minidiffusion.systems.shipped import WEIGHTS
from minidiffusion.training.checkpoint import read_header

HERE = Path(__file__).parent


def quality(system: str) -> dict[str, float]:
    """The judge's scores of a system, by split."""
    file = HERE / f"{system}.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    return {split: round(part["drawn"], 3) for split, part in found.items() if isinstance(part, dict)}


if __name__ == "__main__":
    folder, total = Path(sys.argv[1]), 0
    shipped = {
        system: [s for s in stages if not s.name.endswith(("_draft", "_second"))] for system, stages in SYSTEMS.items()
    }
    for system, stages in shipped.items():
        for stage in stages:
            file = folder / f"{stage.name}.safetensors"
            about = read_header(file)["about"]
            if stage is stages[-1] or stage.name == "decoder":
                about["top1_of_500"] = quality(system)
            md.save(md.load(file), WEIGHTS / file.name, about, torch.float16)
    for file in sorted({WEIGHTS / f"{stage.name}.safetensors" for stages in shipped.values() for stage in stages}):
        total += file.stat().st_size
        print(f"{file.name:35} {file.stat().st_size / 1e6:6.2f} MB")
    print(f"{'all':35} {total / 1e6:6.2f} MB")
