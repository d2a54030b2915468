"""The door between the copy's process and the judge: only plain values pass, written as JSON.

`pack` writes a value and `unpack` builds it again, of the exact types float, int, bool, str, list, tuple, dict and
Tensor. Anything else arrives as an empty object that only has the name of its type, so that the judge can say what it
is.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

LONGEST = 600  # characters in a sentence
LARGEST = 2**20  # numbers in a tensor
DIGITS = 4000  # of a whole number; Python writes no longer ones
FLOATS = "float16 bfloat16 float32 float64 complex64 complex128"
DTYPES = {name: getattr(torch, name) for name in f"{FLOATS} bool uint8 int8 int16 int32 int64".split()}


def pack(value: Any, special: Callable[[Any], Any] = lambda value: None) -> Any:
    """The value, ready for JSON. special: how to write what is not plain; it returns None for the rest."""
    if (packed := special(value)) is not None:
        return packed
    if isinstance(value, np.generic):  # one of numpy's numbers
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype.name in DTYPES:  # checks calculate with both alike
        value = torch.from_numpy(np.array(value, order="C"))
    if isinstance(value, int) and value.bit_length() > 3 * DIGITS:
        return {"other": f"whole number of {value.bit_length()} bits"}
    if value is None or isinstance(value, (int, float, str)):
        return value
    if value is ...:
        return {"ellipsis": 0}
    if isinstance(value, (list, tuple)):
        items = [pack(item, special) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        return {"dict": [[pack(key, special), pack(item, special)] for key, item in value.items()]}
    if isinstance(value, Tensor) and value.numel() <= LARGEST and value.dtype in DTYPES.values():
        numbers = value.detach().cpu().resolve_conj().resolve_neg().flatten().contiguous()
        content = base64.b64encode(numbers.view(torch.uint8).numpy().tobytes()).decode()
        return {"tensor": [str(value.dtype).removeprefix("torch."), list(value.shape), content]}
    if isinstance(value, Tensor):
        return {"other": f"Tensor of shape {tuple(value.shape)} and type {value.dtype}"}
    with contextlib.suppress(Exception):  # fractions, arrays of one number
        return float(value)
    return {"other": type(value).__name__}


def unpack(packed: Any, special: Callable[[str, Any], Any] | None = None) -> Any:
    """The value. special(kind, content) builds what is not plain; the judge has none, and so gets plain values only."""
    if isinstance(packed, list):
        return [unpack(item, special) for item in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "ellipsis":
        return ...
    if kind == "tuple":
        return tuple(unpack(content, special))
    if kind == "dict":
        return dict(unpack(content, special))
    if kind == "tensor":
        name, shape, text = content
        if name not in DTYPES:  # a copy may write anything here, and some of PyTorch's types end Python
            raise ValueError("a tensor of an unusual type is not a plain value")
        numbers, dtype = bytearray(base64.b64decode(text)), DTYPES[name]
        return (torch.frombuffer(numbers, dtype=dtype) if numbers else torch.empty(0, dtype=dtype)).reshape(shape)
    if kind == "other":
        return type(content, (), {})()
    if special is None:
        raise ValueError(f"a {kind} is not a plain value")
    return special(kind, content)


def sentence(text: str) -> str:
    """The text on one line, without control characters, and cut if it is too long."""
    text = "".join(char if char.isprintable() else "?" for char in " ".join(text[: 10 * LONGEST].split()))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def name_error(error: BaseException) -> str:
    try:
        return sentence(f"{type(error).__name__}: {error}")
    except BaseException:  # an error of the student's own may not have a text
        return type(error).__name__
