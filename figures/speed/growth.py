"""How the cost grows with the batch size, the image size, the width of the network, the steps and the processes.

This package and diffusers are measured, each in its own default precision. For processes, several copies of this
package's `fit` train side by side and share the cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from networks import default_way, painter, trainer
from peers import CASES, PEERS, Case, Peer
from protocol import Runs, rate, rounded, summary, take_turns

GREY = CASES[0]
BATCHES, SIDES, WIDTHS, STEPS = (8, 32, 128), (16, 32, 64), (32, 64, 96), (5, 10, 25, 50)


def measure(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    two = [peer for peer in peers if peer.name in ("minidiffusion", "diffusers")]

    def along(values: Iterable[int], make: Callable[[Peer, str, int], Callable[[], int]]) -> dict[str, Any]:
        """Images per second, by project, then by value."""
        contenders = {
            (peer.name, value): rate(make(peer, default_way(peer, device), value), device, seconds)
            for peer in two
            for value in values
        }
        runs: Runs = take_turns(contenders, rounds)  # type: ignore[arg-type]
        return {peer.name: {str(value): summary(runs[peer.name, value]) for value in values} for peer in two}  # type: ignore

    side = {side: Case("", 1, side, "") for side in SIDES}
    return {
        "unit": "images per second",
        "batch": along(BATCHES, lambda peer, way, n: trainer(peer, GREY, way, device, n)),
        "side": along(SIDES, lambda peer, way, n: trainer(peer, side[n], way, device, 32)),
        "width": along(WIDTHS, lambda peer, way, n: trainer(peer, GREY, way, device, 32, n)),
        "steps": along(STEPS, lambda peer, way, n: painter(peer, GREY, way, device, n)),
        "processes": {str(n): rounded(together(n, device, seconds)) for n in range(1, (os.cpu_count() or 1) + 1)},
    }


def together(count: int, device: torch.device, seconds: float) -> float:
    """The total rate of `count` processes that run at the same time, in images per second."""
    environment = os.environ | {"OMP_NUM_THREADS": str((os.cpu_count() or 1) // count)}
    command = [sys.executable, __file__, str(device), str(seconds)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


if __name__ == "__main__":
    device, ours = torch.device(sys.argv[1]), PEERS["minidiffusion"]
    print(rate(trainer(ours, GREY, default_way(ours, device), device), device, float(sys.argv[2]))())
