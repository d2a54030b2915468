"""Checks of what a caller hands in, each written once. Public functions call them before work starts; formulas do not.

A message names the argument, says what is wanted and what came, and never prints the data. The values of tensors on a
GPU are not looked at, because that would make the GPU wait: a time outside [0, 1] gives nan there instead of an error.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

from torch import Tensor

Number = float | int


def came(value: Any) -> str:
    """What came, for an error message: a tensor by its type and shape, everything else in at most 80 characters."""
    text = f"a {value.dtype} tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def whole(name: str, value: Any, least: int = 1, most: Number = math.inf) -> None:
    """ValueError unless `value` is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= value <= most:
        wanted = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {wanted}, got {came(value)}")


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def number(name: str, value: Any, low: Number = -math.inf, high: Number = math.inf) -> None:
    """ValueError unless `value` is a finite number in [low, high]."""
    if not _is_finite(value) or not low <= value <= high:
        raise ValueError(f"{name} must be a finite number in [{low:g}, {high:g}], got {came(value)}")


def positive(name: str, value: Any) -> None:
    """ValueError unless `value` is a finite number above 0."""
    if not _is_finite(value) or value <= 0:
        raise ValueError(f"{name} must be a finite number above 0, got {came(value)}")


def one_of(name: str, value: Any, known: Iterable[str]) -> Any:
    """`value`, if it is known; otherwise a ValueError that lists what is known and guesses what was meant."""
    known = tuple(known)
    if value not in known:
        near = difflib.get_close_matches(str(value).lower(), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {came(value)}{hint}")
    return value


def instance(name: str, value: Any, kind: type, such_as: str) -> None:
    """TypeError unless `value` is of this class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, such as {such_as}, got {came(value)}")


def function(name: str, value: Any, signature: str) -> None:
    """TypeError unless `value` can be called; `signature` says how it will be."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, {signature}, got {came(value)}")


def same_shape(**tensors: Any) -> None:
    """TypeError or ValueError unless all are floating point tensors of one shape: broadcasting would hide a mistake."""
    first, reference = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(f"{name} must be a floating point tensor, got {came(tensor)}")
        if tensor.shape != reference.shape:
            raise ValueError(f"{name} must have the shape of {first}, {tuple(reference.shape)}, got {came(tensor)}")


def items(name: str, value: Any) -> None:
    """TypeError or ValueError unless `value` is a floating point tensor (batch, ...) with at least one item."""
    same_shape(**{name: value})
    if value.ndim < 2 or value.numel() == 0:
        raise ValueError(f"{name} must be (batch, ...) with at least one item, got shape {tuple(value.shape)}")


def one_for_each(name: str, value: Any, of: Tensor) -> None:
    """TypeError or ValueError unless `value` is a floating point tensor with one number, or one for each item."""
    same_shape(**{name: value})
    if value.ndim > 1 or value.numel() not in (1, len(of)):
        raise ValueError(f"{name} must be one number, or one for each of {len(of)} items, got {came(value)}")


def within(name: str, value: Tensor, low: Number = 0.0, high: Number = 1.0) -> Tensor:
    """`value`, if all of it lies in [low, high]; otherwise ValueError."""
    if not value.is_cuda and not bool(((value >= low) & (value <= high)).all()):  # false for nan, too
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value.min():g} to {value.max():g}")
    return value


def times(name: str, value: Any, rising: bool = False) -> list[float]:
    """The times as floats; TypeError or ValueError unless they are two or more that fall (or rise) within [0, 1]."""
    try:
        grid = [float(t) for t in value]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a sequence of numbers, got {came(value)}") from None
    falling = grid[::-1] if rising else grid
    if len(grid) < 2 or not all(1 >= t > s >= 0 for t, s in zip(falling, falling[1:], strict=False)):
        way = "rise from at least 0 to at most 1" if rising else "fall from at most 1 to at least 0"
        raise ValueError(f"{name} must {way}, two or more of them, got {came(value)}")
    return grid


def nonzero(name: str, value: Any, why: str) -> None:
    """ValueError if this number, or any number in this tensor, is 0: t must then not be where `name` is 0."""
    if not value.is_cuda and bool((value == 0).any()) if isinstance(value, Tensor) else value == 0:
        raise ValueError(f"t must not be where {name} = 0: {why}")
