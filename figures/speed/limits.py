"""How near to the machine's limit training and drawing are, and where their time goes.

The limit is what two square matrices of 2,048 rows reach, in each precision. Then a training step of this package's two
networks, and a batch drawn by the larger: the operations that it asks for (two for a multiplication with its addition,
in training both ways), how many a second that makes, and the share of its time in each kind of work, as torch's
profiler counts it on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from minidiffusion.training.device import PRECISIONS
from networks import DRAWN, STEPS, default_way, painter, trainer
from peers import CASES, Minidiffusion, Peer, SmallMinidiffusion
from protocol import rate, rounded, settle, summary, take_turns

ROWS = 2048
WORK = {  # the first that fits counts
    "convolution, backward": ("convolution_backward",),
    "convolution, forward": ("conv",),
    "norm": ("norm",),
    "silu": ("silu",),
    "attention and linear": ("mm", "softmax"),
    "copies": ("copy",),
    "sums and products": ("add", "mul", "div", "sum"),
}


def measure(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    """Of this package alone, whatever else is installed."""
    ways = [way for way in PRECISIONS if way == "float32" or Minidiffusion().default_precision(device) == way]
    products = {way: rate(product(PRECISIONS[way], device), device, seconds) for way in ways}
    large, small = Minidiffusion(), SmallMinidiffusion()
    way = default_way(large, device)
    work = {peer.name: (trainer(peer, CASES[0], way, device, peer.batch), peer.batch) for peer in (large, small)}
    for case in CASES:
        name = f"minidiffusion draws {case.name}, {STEPS[0]} steps"
        work[name] = (painter(large, case, way, device, STEPS[0]), DRAWN)
    return {
        "unit": "GFLOP per second",
        "products": {way: summary(runs) for way, runs in take_turns(products, rounds).items()},
        "steps": {name: of_a_step(step, way, batch, device, rounds, seconds) for name, (step, batch) in work.items()},
    }


def product(precision: torch.dtype, device: torch.device) -> Callable[[], float]:
    a, b = (torch.randn(ROWS, ROWS, device=device).to(precision) for _ in range(2))

    def multiply() -> float:
        a @ b
        return 2 * ROWS**3 / 1e9

    return multiply


def of_a_step(
    step: Callable[[], int], way: str, batch: int, device: torch.device, rounds: int, seconds: float
) -> dict[str, Any]:
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    gflop = counter.get_total_flops() / 1e9

    def steps() -> float:
        step()
        return gflop

    (runs,) = take_turns({"step": rate(steps, device, seconds)}, rounds).values()
    return {"precision": way.split()[0], "batch": batch, "gflop": rounded(gflop)} | {
        "gflop_per_second": summary(runs),
        "shares": shares(step, device, seconds),
    }


def kind_of(operation: str) -> str:
    """Of work: convolution, norm ..."""
    return next((kind for kind, names in WORK.items() if any(name in operation for name in names)), "all else")


def shares(step: Callable[[], int], device: torch.device, seconds: float) -> dict[str, float]:
    """Of the time that torch's operations take in `step`, by kind of work."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        started = time.perf_counter()
        while True:
            step()
            settle(device)
            if time.perf_counter() - started > seconds:
                break
    spent = dict.fromkeys([*WORK, "all else"], 0.0)
    for event in profiler.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
    return {kind: rounded(each / sum(spent.values())) for kind, each in spent.items()}
