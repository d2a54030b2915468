"""What the networks share: a record of their settings, zero-initialised layers, and a check of images."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch import Tensor, nn

NETS: dict[str, type[Net]] = {}  # every subclass of Net under its name


class Net(nn.Module):
    """A network that keeps its constructor's arguments in `config`, so that NETS[name](**config) builds it again."""

    config: dict[str, Any]  # ready for JSON, so tuples become lists

    def __init_subclass__(cls) -> None:
        NETS[cls.__name__], init = cls, cls.__init__

        @functools.wraps(init)
        def init_and_record(self, *args, **kwargs):
            init(self, *args, **kwargs)
            arguments = inspect.signature(init).bind(self, *args, **kwargs)
            arguments.apply_defaults()
            _, *settings = arguments.arguments.items()  # the first is self
            self.config = {name: list(value) if isinstance(value, tuple) else value for name, value in settings}

        cls.__init__ = init_and_record  # type: ignore[method-assign]


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with all its parameters set to zero, so that at first the branch which it ends adds nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def check_images(x: Tensor, channels: int, factor: int) -> None:
    """ValueError unless x is (batch, channels, height, width), with sides divisible by `factor`."""
    if x.ndim != 4 or x.shape[1] != channels or x.shape[2] % factor or x.shape[3] % factor:
        wanted = f"(batch, {channels}, height, width) with sides divisible by {factor}"
        raise ValueError(f"x must be {wanted}, got {tuple(x.shape)}")
