"""Everything that a training changes, so that we can save it and resume later with the same bits."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class TrainingState:
    """Weights, averaged weights, AdamW's moments and random generators: everything that a step changes.

    state: what `state()` returned in an earlier training of the same model, to continue there. ValueError, before any
    weight changes, if it belongs to another model.
    """

    def __init__(self, model: nn.Module, seed: int, state: Mapping[str, Tensor] | None = None):
        self.steps_done = 0
        self.model = model
        try:
            self.ema = copy.deepcopy(model).eval().requires_grad_(False)
        except (RuntimeError, ValueError) as error:  # a scripted network, or one that keeps tensors with their graph
            raise ValueError(f"model must be a module that copy.deepcopy can copy, and it cannot: {error}") from error
        self.optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), fused=True)
        # on the CPU, so that every device gets the same batches, times and noise
        self.generator = torch.Generator().manual_seed(seed)
        if state is not None:
            self._restore(state)

    def state(self) -> dict[str, Tensor]:
        """A copy of everything, on the CPU, by name."""
        tensors = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self._tensors().items()}
        states = {name: generator.get_state() for name, generator in self._generators().items()}
        return {**tensors, **states, "steps_done": torch.tensor(self.steps_done)}

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        for name, weight in self.model.named_parameters():
            if f"exp_avg.{name}" in state:  # a weight that never had a gradient has no moments
                # with the memory layout of the weight, because the fused step pairs numbers by their place in memory
                moments = {key: torch.zeros_like(weight) for key in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[weight] = {"step": torch.zeros((), device=weight.device), **moments}
        # a state from a GPU also works on a CPU, and the other way round, although the GPU's generator is missing
        wanted, got = (
            {k: (v.shape, v.dtype) for k, v in s.items() if k != "generator.cuda"} for s in (self.state(), state)
        )
        different = sorted(k for k in wanted.keys() | got.keys() if wanted.get(k) != got.get(k))
        if different:
            some = ", ".join(different[:3])
            raise ValueError(f"state must be of a training of this model, but {len(different)} tensors differ: {some}")
        weights = dict(self.model.named_parameters())  # buffers may be infinite, such as the mask of an attention
        broken = [k for k, v in state.items() if k.partition(".")[2] in weights and not bool(v.isfinite().all())]
        if broken:
            raise ValueError(f"state must be finite, but {', '.join(sorted(broken)[:3])} is not")
        for name, generator in self._generators().items():
            if name in state:
                try:
                    generator.set_state(state[name])
                except RuntimeError as error:
                    raise ValueError(f"state must hold the state of a generator in {name}: {error}") from None
        for name, tensor in self._tensors().items():
            tensor.detach().copy_(state[name])
        self.steps_done = int(state["steps_done"])

    def _tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights and moments: the tensors themselves, not copies."""
        modules = {"weights": self.model, "ema": self.ema}
        tensors = {f"{kind}.{name}": w for kind, module in modules.items() for name, w in module.state_dict().items()}
        for name, weight in self.model.named_parameters():
            tensors |= {f"{key}.{name}": moment for key, moment in self.optimiser.state.get(weight, {}).items()}
        return tensors

    def _generators(self) -> dict[str, torch.Generator]:
        """The generator of this training, and the global ones, which dropout layers use."""
        generators = {"generator.batches": self.generator, "generator.cpu": torch.default_generator}
        device = next(self.model.parameters()).device
        if device.type == "cuda":
            generators["generator.cuda"] = torch.cuda.default_generators[device.index or 0]
        return generators
