"""All that a training changes, so that it can be kept, and go on later to the same bits."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from ..denoiser import Denoiser


class TrainingState:
    """All that a step changes. Kept and put back, training goes on as if it had never stopped."""

    def __init__(self, denoiser: Denoiser, seed: int):
        self.steps_done = 0
        self.denoiser = denoiser
        self.ema = copy.deepcopy(denoiser).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(denoiser.parameters(), betas=(0.9, 0.99), fused=True)
        # on the CPU: the same batches, times and noise on every device
        self.generator = torch.Generator().manual_seed(seed)

    def state(self) -> dict[str, Tensor]:
        """A copy, on the CPU, by name."""
        tensors = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self._tensors().items()}
        states = {name: generator.get_state() for name, generator in self._generators().items()}
        return {**tensors, **states, "steps_done": torch.tensor(self.steps_done)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned; ValueError, and no weight changed, if it is of another network."""
        for name, weight in self.denoiser.named_parameters():
            if f"exp_avg.{name}" in state:  # a weight without a gradient has no moments
                # laid out in memory like the weight, or the fused step would pair the wrong numbers
                moments = {key: torch.zeros_like(weight) for key in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[weight] = {"step": torch.zeros((), device=weight.device), **moments}
        # the global generator of a GPU may be missing here or there: the state of one device serves another
        wanted, got = ({k: v.shape for k, v in s.items() if k != "generator.cuda"} for s in (self.state(), state))
        strange = sorted(k for k in wanted.keys() | got.keys() if wanted.get(k) != got.get(k))
        if strange:
            raise ValueError(f"state must be of a training of this network, but differs in {', '.join(strange)}")
        for name, tensor in self._tensors().items():
            tensor.detach().copy_(state[name])
        for name, generator in self._generators().items():
            if name in state:
                generator.set_state(state[name])
        self.steps_done = int(state["steps_done"])

    def _tensors(self) -> dict[str, Tensor]:
        """Weights, their average, and Adam's moments: the tensors themselves, not copies."""
        modules = {"weights": self.denoiser, "ema": self.ema}
        tensors = {f"{kind}.{name}": w for kind, module in modules.items() for name, w in module.state_dict().items()}
        for name, weight in self.denoiser.named_parameters():
            tensors |= {f"{key}.{name}": moment for key, moment in self.optimiser.state.get(weight, {}).items()}
        return tensors

    def _generators(self) -> dict[str, torch.Generator]:
        """Ours, and the global ones, from which a network with dropout draws."""
        generators = {"generator.batches": self.generator, "generator.cpu": torch.default_generator}
        device = next(self.denoiser.parameters()).device
        if device.type == "cuda":
            generators["generator.cuda"] = torch.cuda.default_generators[device.index or 0]
        return generators
