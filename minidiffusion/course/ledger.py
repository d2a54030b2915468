"""The ledger of claims: what the article says, how we test it, and the verdict that the data gives.

A claim has parts. A part is one number that an experiment measures once per seed, and a range: the article is right
about this part if the number lies in the range. Both are in claims/claims.toml, and the verdict is computed from them.

    a part holds           if the mean over the seeds lies inside the range,
    fails                  if it lies outside,
    and is undecided       if the seeds could not tell: see below

    supported: all parts hold     refuted: none does     partly: some do     open: a part is undecided or not measured

**When the seeds cannot tell.** For each part we ask how probable a mean as far from the nearest border would be if the
true value lay on that border (Student's t over the seeds, two-sided; ratios on the log scale). With many parts, some
would pass by luck, so the probabilities are corrected for their number by Holm's method (1979), over all parts of all
claims. A part is decided if its corrected probability is at most 0.05. Parts of the kind "exact" follow from a formula
or are the same for every seed, so there is nothing to be lucky about.

kind: "exact"; "preregistered" if the range was committed before the runs were made, with seeds that nothing was tuned
on; "post hoc" if the range came with or after the first runs.
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
VERDICTS, AGREES, KINDS = (
    ("supported", "partly", "refuted", "open"),
    ("agrees", "disagrees", "silent"),
    ("exact", "preregistered", "post hoc"),
)
LEVEL = 0.05  # of the corrected probability


@dataclass(frozen=True)
class Part:
    """One number, and the range in which it must lie for the article to be right."""

    name: str  # in a few words
    measured: str  # the number, in a sentence
    unit: str
    effect: str  # its name in the results of the experiment
    holds: Interval  # the range
    kind: str
    ratio: bool = False  # whether its logarithm is averaged
    experiment: str = ""  # the folder of the experiment that measures it

    def values(self, runs: Sequence[dict[str, Any]]) -> list[float]:
        return [float(run[self.effect]) for run in runs]

    def mean(self, values: Sequence[float]) -> float:
        return math.exp(statistics.fmean(map(math.log, values))) if self.ratio else statistics.fmean(values)

    def interval(self, values: Sequence[float]) -> Interval:
        """The 95% interval of the mean, on the log scale for a ratio."""
        if not self.ratio:
            return interval(values)
        low, high = interval([math.log(value) for value in values])
        return math.exp(low), math.exp(high)

    def probability(self, values: Sequence[float]) -> float:
        """How probable a mean at least this far from a border is if the truth is on it; 0 for an exact part.

        1 if all values are equal: then they do not say how much they vary (five trainings without a failure, say).
        """
        from scipy import stats  # slow to import, and only the ledger needs it

        if self.kind == "exact":
            return 0.0
        scaled, borders = list(values), list(self.holds)
        if self.ratio:
            scaled = [math.log(value) for value in values]
            borders = [math.log(border) if border > 0 else -math.inf for border in borders]
        mean, error = statistics.fmean(scaled), float(stats.sem(scaled))
        away = min((abs(mean - border) for border in borders if math.isfinite(border)), default=math.inf)
        return float(2 * stats.t.sf(away / error, len(scaled) - 1)) if error > 0 else 1.0

    def inside(self, values: Sequence[float]) -> bool:
        return self.holds[0] <= self.mean(values) <= self.holds[1]


@dataclass(frozen=True)
class Claim:
    """One row of the ledger."""

    id: int
    article: str  # what the article says, in our words
    best: str  # its best sense, in a sentence
    test: str  # the part of it that data can decide
    supports: str  # what would support it
    refutes: str  # what would refute it
    fixed: str  # what the experiment keeps fixed
    record: str  # what has been published about it, with the source
    agrees: str  # whether the record agrees with our verdict, disagrees, or is silent
    lesson: str
    words: str = ""  # the article's own words, where we could read them
    doubt: str = ""  # the doubt that remains
    parts: tuple[Part, ...] = ()

    @property
    def experiments(self) -> list[str]:
        """The folders of the experiments that measure its parts; empty if there are none."""
        return list(dict.fromkeys(part.experiment for part in self.parts))


Runs = dict[str, Sequence[dict[str, Any]]]  # of each experiment, one for each seed
Outcomes = dict[tuple[int, int], "bool | None"]  # of each part, by claim and number: holds, fails, undecided


def interval(values: Sequence[float]) -> Interval:
    """The 95% confidence interval of the mean over the seeds, by Student's t. ValueError without two finite values."""
    from scipy import stats  # slow to import, and only the ledger needs it

    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"values must be two finite numbers or more, got {list(values)!r}")
    mean, error = statistics.fmean(values), float(stats.sem(values))
    low, high = stats.t.interval(0.95, len(values) - 1)
    return mean + float(low) * error, mean + float(high) * error


def holm(probabilities: Sequence[float]) -> list[float]:
    """Each probability corrected for how many there are (Holm 1979): the smallest times n, the next times n - 1, ..."""
    corrected, largest = [0.0] * len(probabilities), 0.0
    for rank, i in enumerate(sorted(range(len(probabilities)), key=probabilities.__getitem__)):
        largest = max(largest, min(1.0, (len(probabilities) - rank) * probabilities[i]))
        corrected[i] = largest
    return corrected


def outcomes(runs: Runs, known: Sequence[Claim]) -> Outcomes:
    """Decide every measured part. runs: of each experiment; the correction is over all parts that they measure."""
    parts = {(claim.id, i): part for claim in known for i, part in enumerate(claim.parts) if runs.get(part.experiment)}
    values = {place: part.values(runs[part.experiment]) for place, part in parts.items()}
    tested = [place for place, part in parts.items() if part.kind != "exact"]
    corrected = dict(zip(tested, holm([parts[place].probability(values[place]) for place in tested]), strict=True))
    return {
        place: part.inside(values[place]) if corrected.get(place, 0.0) <= LEVEL else None
        for place, part in parts.items()
    }


def verdict(claim: Claim, decided: Outcomes) -> str:
    """supported, partly, refuted or open, from the outcomes of the claim's parts."""
    found = {decided.get((claim.id, i)) for i in range(len(claim.parts))}
    if {True, False} <= found:
        return "partly"  # whatever the other parts turn out to be
    if not found or None in found:
        return "open"
    return "supported" if True in found else "refuted"


def claims(path: Path | None = None) -> list[Claim]:
    """All claims, in order."""
    entries = tomllib.loads(((path or FOLDER) / "claims.toml").read_text(encoding="utf-8"))["claim"]
    return [_claim(**entry) for entry in entries]


def _claim(parts: Sequence[dict[str, Any]] = (), experiment: str = "", **entry: Any) -> Claim:
    """A claim whose parts are measured by `experiment`, unless they name another."""
    holds = [tuple(map(float, part["holds"])) for part in parts]
    read = [Part(**{"experiment": experiment, **part, "holds": held}) for part, held in zip(parts, holds, strict=True)]
    return Claim(**entry, parts=tuple(read))


def results(experiment: str, path: Path | None = None) -> dict[str, Any]:
    """The committed results of an experiment: its runs, one per seed, and how they were made. {"runs": []} if none."""
    file = (path or FOLDER) / experiment / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if experiment and file.exists() else {"runs": []}


def ledger(path: Path | None = None) -> list[dict[str, Any]]:
    """One row for each claim, see `rows`, with the verdicts on the committed runs."""
    known = claims(path)
    return rows(known, {name: results(name, path)["runs"] for claim in known for name in claim.experiments})


def rows(known: Sequence[Claim], runs: Runs) -> list[dict[str, Any]]:
    """A row for each claim: id, claim, verdict, parts, record, agrees, lesson.

    parts: {"name", "measured", "unit", "range", "value", "interval", "seeds", "kind", "outcome"}. value is the mean
    over the seeds; outcome is "holds", "fails", "undecided" or "not measured". A range without limit ends in None.
    """
    decided = outcomes(runs, known)
    return [
        {
            "id": claim.id,
            "claim": claim.article,
            "verdict": verdict(claim, decided),
            "parts": [_part_row(part, runs, decided.get((claim.id, i))) for i, part in enumerate(claim.parts)],
            "record": claim.record,
            "agrees": claim.agrees,
            "lesson": claim.lesson,
        }
        for claim in known
    ]


def _part_row(part: Part, runs: Runs, outcome: bool | None) -> dict[str, Any]:
    values = part.values(runs.get(part.experiment, ()))
    said = {True: "holds", False: "fails", None: "undecided"}[outcome] if values else "not measured"
    return {
        "name": part.name,
        "measured": part.measured,
        "unit": part.unit,
        "range": [end if math.isfinite(end) else None for end in part.holds],
        "value": part.mean(values) if values else None,
        "interval": list(part.interval(values)) if len(values) > 1 else None,
        "seeds": len(values),
        "kind": part.kind,
        "outcome": said,
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
    module, started = load(experiment), time.perf_counter()
    runs: list[dict[str, Any]] = []
    for seed in seeds:
        run = module.run(seed, scale, device)
        if runs:
            run.pop("shown", None)  # the pictures of one seed are enough, and the results go with the package
        runs.append(run)
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
