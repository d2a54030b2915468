"""Print the outcome of an experiment, computed from its numbers, in a way that two machines print alike."""

from __future__ import annotations

import operator
from typing import SupportsFloat

RELATIONS = {"<": (operator.lt, "less than"), ">": (operator.gt, "more than")}


def short(value: SupportsFloat) -> str:
    """Two significant digits: 0.0064, 1.2, 150, 3.1e-06. Further digits would differ between machines."""
    return f"{float(f'{float(value):.1e}'):.6g}"


def verdict(claim: str, value: SupportsFloat, relation: str, bound: SupportsFloat, found: str = "{}") -> None:
    """Print whether an open question came out for the claim: "Supported: ..." or "Refuted: ...".

    value: what was measured. relation: "<" or ">". bound: what the rule asks for; choose it before you run the
    experiment, and not close to the value you expect. found: says what the value is, with {} in its place. NaN supports
    nothing.

        verdict("fresh noise cures a small picture", 0.023, "<", 0.1, "{} spreads off")
        Supported: fresh noise cures a small picture (0.023 spreads off; the rule asked for less than 0.1).
    """
    holds, words = _judge(value, relation, bound)
    rule = f"the rule asked for {words} {float(bound):g}"
    print(f"{'Supported' if holds else 'Refuted'}: {claim} ({_say(found, value)}; {rule}).")


def confirm(identity: str, value: SupportsFloat, relation: str, bound: SupportsFloat, found: str = "{}") -> None:
    """Print whether something that must hold did hold: "Checked: ..." or "Check failed: ...".

    The arguments are those of `verdict`. A formula or an identity is confirmed; only an open question has a verdict.
    """
    holds, words = _judge(value, relation, bound)
    limit = f"{words} {float(bound):g}" if holds else f"not {words} {float(bound):g}"
    print(f"{'Checked' if holds else 'Check failed'}: {identity} ({_say(found, value)}, {limit}).")


def _judge(value: SupportsFloat, relation: str, bound: SupportsFloat) -> tuple[bool, str]:
    if relation not in RELATIONS:
        raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, got {relation!r}")
    holds, words = RELATIONS[relation]
    return holds(float(value), float(bound)), words


def _say(found: str, value: SupportsFloat) -> str:
    return found.replace("{}", short(value)) if "{}" in found else f"{found} {short(value)}"
