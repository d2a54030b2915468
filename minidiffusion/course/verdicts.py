"""Print the outcome of an experiment, computed from its numbers, in a way that two machines print alike."""

from __future__ import annotations

import operator
from typing import SupportsFloat

RELATIONS = {"<": operator.lt, ">": operator.gt}


def short(value: SupportsFloat) -> str:
    """Two significant digits: 0.0064, 1.2, 150, 3.1e-06. Further digits would differ between machines."""
    return f"{float(f'{float(value):.1e}'):.6g}"


def verdict(claim: str, value: SupportsFloat, relation: str, bound: SupportsFloat, name: str = "") -> None:
    """Print `claim: PASS (name value < bound)` or `claim: FAIL (name value, not < bound)`.

    relation: "<" or ">". NaN never passes. Choose the bound before you run the experiment, and not close to the value
    you expect.
    """
    if relation not in RELATIONS:
        raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, got {relation!r}")
    passed = RELATIONS[relation](float(value), float(bound))
    found = f"{name} {short(value)}".strip()
    limit = f"{relation} {float(bound):g}"
    print(f"{claim}: " + (f"PASS ({found} {limit})" if passed else f"FAIL ({found}, not {limit})"))
