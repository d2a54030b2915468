"""Checks of what a caller hands in, each written once. Public functions call them before work starts; formulas do not.

A message names the argument, says what is wanted and what came, and never prints the data. Tensors on a GPU are not
looked into: that would make the GPU wait. A time outside [0, 1] gives nan there instead of an error.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

from torch import Tensor


def came(value: Any) -> str:
    """What came, for an error message: a tensor by its type and shape, everything else in at most 80 characters."""
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def whole(name: str, value: Any, least: int = 1, most: float = math.inf) -> None:
    """ValueError unless `value` is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= value <= most:
        wanted = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {wanted}, got {came(value)}")


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> None:
    """ValueError unless `value` is a finite number in [low, high]."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not real or not low <= value <= high:
        raise ValueError(f"{name} must be a finite number in [{low:g}, {high:g}], got {came(value)}")


def positive(name: str, value: Any) -> None:
    """ValueError unless `value` is a finite number above 0."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, got {came(value)}")


def one_of(name: str, value: Any, known: Iterable[str]) -> Any:
    """`value`, if it is known; otherwise a ValueError that lists what is known and guesses what was meant."""
    known = tuple(known)
    if value not in known:
        near = difflib.get_close_matches(str(value).lower(), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {came(value)}{hint}")
    return value


def function(name: str, value: Any, signature: str) -> None:
    """TypeError unless `value` can be called; `signature` says how it will be."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, {signature}, got {came(value)}")


def same_shape(**tensors: Any) -> None:
    """TypeError or ValueError unless all are floating point tensors of one shape: broadcasting would hide a mistake."""
    first, reference = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(f"{name} must be a floating point tensor, got {came(tensor)}; images: datasets.to_float")
        if tensor.shape != reference.shape:
            raise ValueError(f"{name} must have the shape of {first}, {tuple(reference.shape)}, got {came(tensor)}")


def items(name: str, value: Any) -> None:
    """TypeError or ValueError unless `value` is a floating point tensor (batch, ...) with at least one item."""
    same_shape(**{name: value})
    if value.ndim < 2 or value.numel() == 0:
        raise ValueError(f"{name} must be (batch, ...) with at least one item, got shape {tuple(value.shape)}")


def times(name: str, value: Any, first: str = "at most 1", last: str = "at least 0") -> list[float]:
    """The times as floats; TypeError or ValueError unless they are two or more that fall within [0, 1]."""
    try:
        grid = [float(t) for t in value]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a sequence of numbers, got {came(value)}") from None
    if len(grid) < 2 or not all(1 >= t > s >= 0 for t, s in zip(grid, grid[1:], strict=False)):
        raise ValueError(f"{name} must fall from {first} to {last}, two or more of them, got {came(value)}")
    return grid
