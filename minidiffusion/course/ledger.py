"""The ledger of claims: what the article says, how we decide it, and the verdict that the data gives.

A claim has parts. A part is one number that an experiment measures once per seed, and a range: the article is right
about this part if the number lies in the range. Both are in claims/claims.toml, and the verdict is computed from them.

    a part holds           if the 95% interval over the seeds lies inside the range,
    fails                  if the interval lies outside,
    and is undecided       if a border of the range lies inside the interval: other seeds might change the answer

    supported: all parts hold     wrong: none does     partly: some do     open: a part is undecided or not measured
"""

from __future__ import annotations

import importlib.util
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Interval = tuple[float, float]
FOLDER = Path(__file__).parent / "claims"


@dataclass(frozen=True)
class Part:
    """One number, and the range in which it must lie for the article to be right."""

    measured: str  # the number, in words
    effect: str  # its name in the results of the experiment
    holds: Interval  # the range

    def decide(self, values: Sequence[float]) -> bool | None:
        """Whether the part holds; None if it is undecided."""
        (low, high), (least, most) = interval(values), self.holds
        inside, outside = least <= low and high <= most, high < least or low > most
        return True if inside else False if outside else None


@dataclass(frozen=True)
class Claim:
    """One row of the ledger."""

    id: int
    article: str  # what the article says, in our words
    test: str  # the same as a statement that data can refute
    fixed: str  # what the experiment keeps fixed
    record: str  # what has been published about it, with the source
    lesson: str
    experiment: str = ""  # the folder of the experiment; empty if there is none
    parts: tuple[Part, ...] = ()

    def verdict(self, runs: Sequence[dict[str, Any]]) -> str:
        """Apply the rule to these runs, one per seed: supported, partly, wrong or open."""
        if not self.parts or not runs:
            return "open"
        decided = [part.decide([run[part.effect] for run in runs]) for part in self.parts]
        if None in decided:
            return "open"
        return "supported" if all(decided) else "partly" if any(decided) else "wrong"


def interval(values: Sequence[float]) -> Interval:
    """The 95% confidence interval of the mean over the seeds, by Student's t. ValueError without two finite values."""
    from scipy import stats  # slow to import, and only the ledger needs it

    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"values must be two finite numbers or more, got {list(values)!r}")
    mean, error = statistics.fmean(values), float(stats.sem(values))
    low, high = stats.t.interval(0.95, len(values) - 1)
    return mean + float(low) * error, mean + float(high) * error


def claims(path: Path | None = None) -> list[Claim]:
    """All claims, in order."""
    entries = tomllib.loads(((path or FOLDER) / "claims.toml").read_text(encoding="utf-8"))["claim"]
    return [Claim(**{**entry, "parts": tuple(_part(part) for part in entry.get("parts", ()))}) for entry in entries]


def _part(entry: dict[str, Any]) -> Part:
    low, high = entry["holds"]
    return Part(entry["measured"], entry["effect"], (float(low), float(high)))


def results(experiment: str, path: Path | None = None) -> dict[str, Any]:
    """The committed results of an experiment: its runs, one per seed, and how they were made. {"runs": []} if none."""
    file = (path or FOLDER) / experiment / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if experiment and file.exists() else {"runs": []}


def ledger(path: Path | None = None) -> list[dict[str, Any]]:
    """One row for each claim: id, claim, verdict, effect, interval, seeds, record, lesson.

    effect and interval belong to the first part of the claim; they are None if it was not measured.
    """
    return [row(claim, results(claim.experiment, path)["runs"]) for claim in claims(path)]


def row(claim: Claim, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of this claim, with the verdict on these runs."""
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
    """Import the script of an experiment, with its functions run(seed, scale, device) and plot(runs)."""
    file = (path or FOLDER) / experiment / "experiment.py"
    spec = importlib.util.spec_from_file_location(f"minidiffusion_claims_{experiment}", file)
    if spec is None or spec.loader is None or not file.exists():
        raise FileNotFoundError(f"experiment must be a folder with an experiment.py, but there is none at {file}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(experiment: str, scale: str, seeds: Sequence[int], device: torch.device) -> Iterator[dict[str, Any]]:
    """Run an experiment. After each seed, yield everything measured so far, in the format of `results`."""
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
