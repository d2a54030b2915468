"""What the networks share: a record of their settings, zero-initialised layers, and a check of images."""

import functools
import inspect
from typing import Any

from torch import Tensor, nn

from ..check import must_be

NETS: dict[str, type["Net"]] = {}  # every subclass of Net under its name


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
    """The layer, zero-initialised: the branch that ends with it adds nothing until training changes its parameters."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def check_images(x: Tensor, channels: int, factor: int) -> None:
    """ValueError unless x is (batch, channels, height, width), with sides divisible by `factor`."""
    fits = x.ndim == 4 and x.shape[1] == channels and x.shape[2] % factor == x.shape[3] % factor == 0
    must_be(f"(batch, {channels}, height, width) with sides divisible by {factor}", "x", x, fits)
