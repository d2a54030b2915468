"""Checks of what a caller hands in, each written once. Public functions call them before work starts; formulas do not.

Messages show shapes and ranges instead of data. Tensors on a GPU are not read, for it would wait: bad times give nan.
"""

import difflib
import math
import numbers
import reprlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from torch import Tensor, int64, strided

Number = float | int


def came(value: Any) -> str:
    """What came, in one line without the data: tensors and arrays by type and shape, long lists by their length."""
    kind = type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        tensor = isinstance(value, Tensor)
        labels = tensor and value.dtype == int64 and value.device.type == "cpu" and value.numel()
        ends = f" from {value.min()} to {value.max()}" if labels else ""
        return f"a {value.dtype} {'tensor' if tensor else 'numpy array'} of shape {tuple(value.shape)}{ends}"
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    inside = [came(part) for part in parts if hasattr(part, "shape") or isinstance(part, tuple | list | dict)]
    if inside or len(parts) > 8:
        return f"a {kind} of {len(parts)}{', and in it ' * bool(inside)}{', '.join(inside[:3])}"[:300]
    return reprlib.repr(value)[:80] if type(value).__module__ == "builtins" else f"a {kind}"


def must_be(wanted: str, name: str, value: Any, met: bool, error: type[Exception] = ValueError) -> None:
    if not met:
        raise error(f"{name} must be {wanted}, got {came(value)}")


def whole(name: str, value: Any, least: int = 1, most: Number = math.inf) -> None:
    wanted = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    must_be(f"a whole number {wanted}", name, value, integer and least <= value <= most)


def number(name: str, value: Any, low: Number = -math.inf, high: Number = math.inf) -> None:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not real or not low <= value <= high:  # the text only then, because samplers ask at every step
        must_be(f"a finite number in [{low:g}, {high:g}]", name, value, False)


def positive(name: str, value: Any) -> None:
    met = isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < float(value) < math.inf
    must_be("a finite number above 0", name, value, met)


def one_of(name: str, value: Any, known: Iterable[str]) -> Any:
    """`value`, if it is known; otherwise the message lists what is known and guesses what was meant."""
    known = tuple(known)
    if value not in known:
        near = difflib.get_close_matches(str(value).lower(), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {came(value)}{hint}")
    return value


def instance(name: str, value: Any, kind: type, such_as: str) -> None:
    must_be(f"a {kind.__name__}, such as {such_as}", name, value, isinstance(value, kind), TypeError)


def function(name: str, value: Any, signature: str) -> None:
    must_be(f"callable, {signature}", name, value, callable(value), TypeError)


def same_shape(**tensors: Any) -> None:  # without this check, broadcasting would hide a wrong shape
    reference = next(iter(tensors.values()))
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            must_be("a floating point tensor", name, tensor, False, TypeError)
        if tensor is not reference and tensor.shape != reference.shape:
            wanted = f"the shape of {next(iter(tensors))}, {tuple(reference.shape)}"
            raise ValueError(f"{name} must have {wanted}, got {came(tensor)}")


def items(name: str, value: Any) -> None:
    same_shape(**{name: value})
    met = value.ndim >= 2 and value.numel() > 0 and value.layout == strided and not value.is_meta
    must_be("a dense tensor (batch, ...) with at least one item", name, value, met)


def one_for_each(name: str, value: Any, of: Tensor) -> None:
    same_shape(**{name: value})
    met = value.ndim <= 1 and value.numel() in (1, len(of))
    must_be(f"one number, or one for each of {len(of)} items", name, value, met)


def within(name: str, value: Tensor, low: Number = 0.0, high: Number = 1.0) -> Tensor:
    wrong, cpu = ~((value >= low) & (value <= high)), value.device.type == "cpu"  # true for nan, too
    if cpu and bool(wrong.any()):
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value.min():g} to {value.max():g}")
    return value if cpu else value.masked_fill(wrong, math.nan)


def nonzero(name: str, value: Any, why: str, about: str = "") -> None:
    if value.device.type == "cpu" and bool((value == 0).any()) if isinstance(value, Tensor) else value == 0:
        raise ValueError(f"t must not be where {name} = 0: {why.format(about)}")


def times(name: str, value: Any, rising: bool = False) -> list[float]:
    try:
        grid = [float(t) for t in value]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a sequence of numbers, got {came(value)}") from None
    if len(grid) < 2 or not all(1 >= t > s >= 0 for t, s in pairwise(reversed(grid) if rising else grid)):
        way = "rise from at least 0 to at most 1" if rising else "fall from at most 1 to at least 0"
        raise ValueError(f"{name} must {way}, two or more of them, got {came(value)}")
    return grid
