"""What it costs to begin: the import, on top of `import torch`, and the peak memory of a training step.

Both need fresh processes, because a process imports a package only once and its peak memory never falls.

    python figures/speed/startup.py diffusers 28x28x1 bfloat16 cpu      prints one such peak
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import Any

import torch
from networks import BATCH, default_way, trainer
from peers import CASES, PEERS, Peer
from protocol import rounded, summary, take_turns


def measure(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    imports = {peer.name: partial(import_seconds, peer.imports) for peer in peers}
    take_turns(imports, 1)  # the first import reads and compiles files
    runs = take_turns(imports, rounds)
    return {
        "import": {
            "unit": "seconds on top of import torch",
            "projects": {peer.name: {"line": peer.imports} | summary(runs[peer.name]) for peer in peers},
        },
        "memory": {
            "unit": "MB at the peak of a training step, on top of what the process had before the first",
            "batch": BATCH,
            "cases": {case.name: {peer.name: _peaks(peer, case.name, device) for peer in peers} for case in CASES},
        },
    }


def _peaks(peer: Peer, case: str, device: torch.device) -> dict[str, Any]:
    ways = sorted({"float32", default_way(peer, device).split()[0]})
    peaks = {way: float(fresh(__file__, peer.name, case, way, str(device))) for way in ways}
    return {"default": default_way(peer, device).split()[0]} | {way: rounded(mb) for way, mb in peaks.items()}


def fresh(*arguments: str) -> str:
    """The last line that a new Python process prints. It may write compiled files, as Python does by default."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip().splitlines()[-1]


def import_seconds(line: str) -> float:
    clock = "import time, torch; started = time.perf_counter()"
    return float(fresh("-c", f"{clock}\n{line}\nprint(time.perf_counter() - started)"))


def peak(name: str, case: str, way: str, device: torch.device) -> float:
    """The peak memory of a training step in MB; to be called in a fresh process."""
    step = trainer(PEERS[name], {case.name: case for case in CASES}[case], way, device)
    before = resident("VmRSS") if device.type == "cpu" else torch.cuda.memory_allocated(device)
    for _ in range(3):
        step()
    after = resident("VmHWM") if device.type == "cpu" else torch.cuda.max_memory_allocated(device)
    return (after - before) / 1e6


def resident(field: str) -> int:
    """Bytes of memory in use now (VmRSS) or at the peak (VmHWM); Linux only."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    print(peak(*sys.argv[1:4], torch.device(sys.argv[4])))
