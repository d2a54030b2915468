"""How close training and sampling come to the machine's limit, and where their time goes.

The limit is the speed of a product of two square matrices with 2,048 rows, in each precision. We compare it with a
training step of this package's two networks and with a batch of samples from the larger one. For each, we count the
floating point operations (a multiply-add is two, and training includes the backward pass), divide by the time, and ask
torch's profiler which share of the CPU time goes into each kind of work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from networks import DRAWN, STEPS, default_way, painter, trainer
from peers import CASES, Minidiffusion, Peer, SmallMinidiffusion
from protocol import rate, rounded, settle, summary, take_turns
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from minidiffusion.training.device import PRECISIONS

ROWS = 2048
WORK = {  # the first match counts
    "convolution, backward": ("convolution_backward",),
    "convolution, forward": ("conv",),
    "norm": ("norm",),
    "silu": ("silu",),
    "attention and linear": ("mm", "softmax"),
    "copies": ("copy",),
    "sums and products": ("add", "mul", "div", "sum"),
}


def measure(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    """Only this package is measured, whatever else is installed."""
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
    """The kind of work that an operation of torch counts as: convolution, norm and so on."""
    return next((kind for kind, names in WORK.items() if any(name in operation for name in names)), "all else")


def shares(step: Callable[[], int], device: torch.device, seconds: float) -> dict[str, float]:
    """How the time of torch's operations in `step` is divided among the kinds of work."""
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
