"""Training and sampling with real networks: images per second."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from peers import CASES, Case, Diffusers, Minidiffusion, Peer
from protocol import rate, rounded, summary, take_turns
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import minidiffusion as md

BATCH, DRAWN = 64, 16
STEPS = (25, 50)
CHANNELS_LAST = ("", " channels_last")  # memory formats, one of which may be faster


class FitDiffusers(Minidiffusion):
    """This package's `fit` with diffusers' network, to tell the effect of the loop from the effect of the network."""

    name = "minidiffusion's fit, diffusers' network"
    orders_memory = False

    def network(self, case: Case, width: int = 32) -> nn.Module:
        return Wrapped(Diffusers().network(case, width))


class Wrapped(nn.Module):
    """A UNet2DModel as net(x, t, cond) with t in [0, 1]."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, t: Tensor, cond: None = None) -> Tensor:
        return self.net(x, 1000 * t, return_dict=False)[0]


@functools.cache
def images(case: Case) -> Tensor:
    """The images of the data set, or noise of the right shape if the case names none."""
    if not case.data:
        return torch.rand(512, case.channels, case.side, case.side) * 2 - 1
    return md.datasets.to_float(md.datasets.load(case.data)[0])


def ways(peer: Peer, device: torch.device) -> list[str]:
    """Precisions and memory formats. This package's U-Net sets its own format; bfloat16 needs hardware support."""
    orders = CHANNELS_LAST[1:] if peer.orders_memory else CHANNELS_LAST
    precisions = ("float32", "bfloat16") if md.training.device.has_fast_bfloat16(device) else ("float32",)
    return [precision + order for precision in precisions for order in orders]


def default_way(peer: Peer, device: torch.device) -> str:
    return peer.default_precision(device) + CHANNELS_LAST[peer.orders_memory]


def prepared(peer: Peer, case: Case, way: str, device: torch.device, width: int = 32) -> tuple[nn.Module, str]:
    """An untrained network on its device, and its precision."""
    torch.manual_seed(0)
    net = peer.network(case, width).to(device)
    precision, *order = way.split()
    return (net.to(memory_format=torch.channels_last) if order else net), precision


def trainer(
    peer: Peer, case: Case, way: str, device: torch.device, batch: int | None = None, width: int = 32
) -> Callable[[], int]:
    """Each call takes one training step and returns the number of images in its batch."""
    batch = batch or BATCH
    net, precision = prepared(peer, case, way, device, width)
    steps = peer.train(net, images(case).to(device), batch, precision)

    def step() -> int:
        next(steps)
        return batch

    return step


def painter(peer: Peer, case: Case, way: str, device: torch.device, steps: int) -> Callable[[], int]:
    """Each call generates a batch of samples and returns their number."""
    net, precision = prepared(peer, case, way, device)

    def draw() -> int:
        peer.draw(net, case, DRAWN, steps, precision)
        return DRAWN

    return draw


def measure_training(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    each = [*peers, FitDiffusers()] if "diffusers" in {peer.name for peer in peers} else peers
    return {"unit": "images per second", "batch": BATCH, "cases": _cases(each, device, rounds, seconds, trainer)}


def measure_sampling(peers: list[Peer], device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    """Every way for 28x28 in 25 steps; elsewhere only each project's default, which saves half an hour."""

    def at(steps: int) -> dict[str, Any]:
        def make(*arguments: Any) -> Callable[[], int]:
            return painter(*arguments, steps)

        return _cases(peers, device, rounds, seconds, make, every_way_in=CASES[:1] if steps == STEPS[0] else ())

    return {"unit": "images per second", "batch": DRAWN, "method": "ddim", "steps": {str(n): at(n) for n in STEPS}}


def _cases(
    peers: list[Peer],
    device: torch.device,
    rounds: int,
    seconds: float,
    make: Callable,
    every_way_in: Sequence[Case] = CASES,
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for case in CASES:
        chosen = {
            peer.name: ways(peer, device) if case in every_way_in else [default_way(peer, device)] for peer in peers
        }
        contenders = {
            f"{peer.name}: {way}": rate(make(peer, case, way, device), device, seconds)
            for peer in peers
            for way in chosen[peer.name]
        }
        runs = take_turns(contenders, rounds)
        result[case.name] = {
            peer.name: size(peer, case)
            | {
                "default": default_way(peer, device),
                "ways": {way: summary(runs[f"{peer.name}: {way}"]) for way in chosen[peer.name]},
            }
            for peer in peers
        }
    return result


def size(peer: Peer, case: Case) -> dict[str, Any]:
    """The parameters, and the cost of one forward pass for one image; a multiply-add counts as two operations."""
    net = peer.network(case)
    with FlopCounterMode(display=False) as counter:
        peer.draw(net, case, 1, 1, "float32")
    parameters = sum(weight.numel() for weight in net.parameters())
    return {"parameters": parameters, "gflop_forward": rounded(counter.get_total_flops() / 1e9)}
