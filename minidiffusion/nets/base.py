"""What the networks share: a record of their settings, zero-initialised layers, and a check of images."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..check import must_be

NETS: dict[str, type["Net"]] = {}  # every subclass of Net under its name; of two with one name, the first


class Net(nn.Module):
    """A network that keeps its constructor's arguments in `config`, so that NETS[name](**config) builds it again."""

    config: dict[str, Any]  # ready for JSON, so sequences become lists

    def __init_subclass__(cls) -> None:
        init, known = cls.__init__, NETS.setdefault(cls.__name__, cls)
        if (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__):
            NETS[cls.__name__] = cls  # a notebook's cell that runs again
        elif issubclass(cls, known):
            return  # with the name of its base, it is saved and loaded as that, with the config of that

        @functools.wraps(init)
        def init_and_record(self, *args, **kwargs):
            init(self, *args, **kwargs)
            arguments = inspect.signature(init).bind(self, *args, **kwargs)
            arguments.apply_defaults()
            _, *settings = arguments.arguments.items()  # the first is self
            self.config = {name: _for_json(value) for name, value in settings}

        cls.__init__ = init_and_record  # type: ignore[method-assign]


def _for_json(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer, zero-initialised: the branch that ends with it adds nothing until training changes its parameters."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def check_images(x: Tensor, channels: int, factor: int) -> None:
    """ValueError unless x is (batch, channels, height, width), with sides divisible by `factor`."""
    fits = x.ndim == 4 and x.shape[1] == channels and x.shape[2] % factor == x.shape[3] % factor == 0
    must_be(f"(batch, {channels}, height, width) with sides divisible by {factor}", "x", x, fits)
