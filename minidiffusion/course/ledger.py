"""The ledger of claims: what the article says, what decides it, and the verdict that the data gives.

A claim is cut into parts, each one number that an experiment measures once a seed, and the range in which the article
would be right about it. Both stand in claims/claims.toml, and the verdict is computed from them:

    a part holds           if the 95% interval over the seeds lies inside its range,
    does not hold          if the interval lies outside,
    and is undecided       if a border of the range lies within the interval: another draw of seeds might flip it

    supported: all parts hold     wrong: none does     partly: some do     open: one is undecided, or not measured
"""

from __future__ import annotations

import importlib.util
import json
import math
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scipy import special

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Interval = tuple[float, float]
FOLDER = Path(__file__).parent / "claims"


@dataclass(frozen=True)
class Part:
    """One number, and the range in which the article is right about it."""

    measured: str  # in words
    effect: str  # its name in the experiment's results
    holds: Interval  # from, to

    def decide(self, values: Sequence[float]) -> bool | None:
        """Whether it holds, None if the seeds do not agree."""
        (low, high), (least, most) = interval(values), self.holds
        inside, outside = least <= low and high <= most, high < least or low > most
        return True if inside else False if outside else None


@dataclass(frozen=True)
class Claim:
    """One line of the ledger."""

    id: int
    article: str  # what it says, in our words
    test: str  # as a statement that data can refute
    fixed: str  # what is held fixed
    record: str  # the published record, with its source
    lesson: str
    experiment: str = ""  # its folder; empty until there is one
    parts: tuple[Part, ...] = ()

    def verdict(self, runs: Sequence[dict[str, Any]]) -> str:
        """supported, partly, wrong or open: what the rule says of these runs, one a seed."""
        if not self.parts or not runs:
            return "open"
        decided = [part.decide([run[part.effect] for run in runs]) for part in self.parts]
        if None in decided:
            return "open"
        return "supported" if all(decided) else "partly" if any(decided) else "wrong"


def interval(values: Sequence[float]) -> Interval:
    """95% interval of the mean over seeds, by Student's t; ValueError without at least two finite values."""
    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"values must be two finite numbers or more, got {list(values)!r}")
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = float(special.stdtrit(len(values) - 1, 0.975)) * deviation / math.sqrt(len(values))
    return mean - half, mean + half


def claims(path: Path | None = None) -> list[Claim]:
    """All of them, in order."""
    entries = tomllib.loads(((path or FOLDER) / "claims.toml").read_text(encoding="utf-8"))["claim"]
    return [Claim(**{**entry, "parts": tuple(_part(part) for part in entry.get("parts", ()))}) for entry in entries]


def _part(entry: dict[str, Any]) -> Part:
    low, high = entry["holds"]
    return Part(entry["measured"], entry["effect"], (float(low), float(high)))


def results(experiment: str, path: Path | None = None) -> dict[str, Any]:
    """What was committed of an experiment: its runs, one a seed, and where they come from. {"runs": []} if nothing."""
    file = (path or FOLDER) / experiment / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if experiment and file.exists() else {"runs": []}


def ledger(path: Path | None = None) -> list[dict[str, Any]]:
    """A row for each claim: id, claim, verdict, effect, interval, seeds, record, lesson. None: not measured.

    effect and interval are those of the claim's first part.
    """
    return [row(claim, results(claim.experiment, path)["runs"]) for claim in claims(path)]


def row(claim: Claim, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of this claim, judged by these runs."""
    measured = bool(claim.parts and runs)
    values = [run[claim.parts[0].effect] for run in runs] if measured else []
    return {
        "id": claim.id,
        "claim": claim.article,
        "verdict": claim.verdict(runs),
        "effect": sum(values) / len(values) if measured else None,
        "interval": list(interval(values)) if measured else None,
        "seeds": len(values),
        "record": claim.record,
        "lesson": claim.lesson,
    }


def load(experiment: str, path: Path | None = None) -> Any:
    """The experiment's script as a module, with run(seed, scale, device) and plot(runs)."""
    file = (path or FOLDER) / experiment / "experiment.py"
    spec = importlib.util.spec_from_file_location(f"minidiffusion_claims_{experiment}", file)
    if spec is None or spec.loader is None or not file.exists():
        raise FileNotFoundError(f"experiment must be a folder with an experiment.py, and there is none at {file}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(experiment: str, scale: str, seeds: Sequence[int], device: torch.device) -> Iterator[dict[str, Any]]:
    """Run an experiment; after each seed yields all that is known so far, as `results` has it."""
    if scale not in ("lesson", "full"):
        raise ValueError(f"scale must be lesson or full, got {scale!r}")
    module, runs, started = load(experiment), [], time.perf_counter()
    for seed in seeds:
        runs.append(module.run(seed, scale, device))
        yield {
            "experiment": experiment,
            "scale": scale,
            "seeds": list(seeds)[: len(runs)],
            "seconds": round(time.perf_counter() - started, 1),
            "device": device.type,
            "threads": torch.get_num_threads(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "runs": list(runs),
        }
