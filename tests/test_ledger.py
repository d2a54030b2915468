"""The ledger: the rule for a verdict, and whether every verdict follows from the committed data by this rule."""

import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
import torch

from minidiffusion.cli import main
from minidiffusion.course import ledger
from minidiffusion.course.ledger import Claim, Part

PICTURES = Path(__file__).parents[1] / "figures" / "claims"
CLAIMS = ledger.claims()
MEASURED = [claim for claim in CLAIMS if claim.experiment]
EXPERIMENTS = sorted({claim.experiment for claim in MEASURED})


def claim(*ranges):
    parts = tuple(Part("", f"effect{i}", holds) for i, holds in enumerate(ranges))
    return Claim(0, "", "", "", "", "", "an experiment", parts)


def runs(*effects):
    """One run for each seed, from the values of each effect."""
    return [{f"effect{i}": value for i, value in enumerate(seed)} for seed in zip(*effects, strict=True)]


# The rule


def test_the_interval_agrees_with_the_tables_of_students_t():
    # from printed tables: the 97.5% quantile of t with two degrees of freedom is 4.303
    half = 4.303 / math.sqrt(3)
    assert ledger.interval([1.0, 2.0, 3.0]) == pytest.approx((2 - half, 2 + half), abs=1e-3)
    assert ledger.interval([5.0, 5.0]) == (5.0, 5.0)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_an_interval_needs_two_finite_values(values):
    with pytest.raises(ValueError, match="values must be two finite numbers or more"):
        ledger.interval(values)


def test_the_interval_covers_the_mean_in_95_percent_of_cases():
    samples = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0)).double()
    intervals = [ledger.interval(row.tolist()) for row in samples]
    covered = sum(low <= 0 <= high for low, high in intervals) / len(intervals)
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_a_part_holds_inside_fails_outside_and_is_undecided_on_the_border():
    part = Part("", "effect", (1.0, 2.0))
    assert part.decide([1.4, 1.5, 1.6]) is True
    assert part.decide([2.9, 3.0, 3.1]) is False and part.decide([-1.0, -1.1]) is False
    assert part.decide([1.9, 2.0, 2.1]) is None and part.decide([0.9, 1.0, 1.1]) is None
    assert part.decide([0.0, 1.5, 3.0]) is None  # wider than the range
    assert Part("", "effect", (5.0, math.inf)).decide([8.0, 9.0]) is None  # two seeds give a wide interval: 8.5 +- 6.4
    assert Part("", "effect", (5.0, math.inf)).decide([8.0, 8.1, 9.0, 9.1]) is True


def test_the_verdict_follows_from_the_parts():
    yes, no, border = [1.0, 1.1, 1.2], [9.0, 9.1, 9.2], [1.9, 2.0, 2.1]
    two = claim((0.0, 2.0), (0.0, 2.0))
    verdicts = {"supported": (yes, yes), "partly": (yes, no), "wrong": (no, no), "open": (yes, border)}
    for verdict, effects in verdicts.items():
        assert two.verdict(runs(*effects)) == verdict
    assert two.verdict(runs(no, yes)) == "partly" and two.verdict(runs(border, no)) == "open"
    assert two.verdict([]) == "open" and claim().verdict(runs(yes)) == "open"


# The committed results


def test_there_are_28_claims_and_each_says_what_would_refute_it():
    assert [claim.id for claim in CLAIMS] == list(range(1, 29))
    for claim in CLAIMS:
        assert all((claim.article, claim.test, claim.fixed, claim.record, claim.lesson)), claim.id
        assert bool(claim.experiment) == bool(claim.parts), claim.id


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_five_seeds_a_provenance_and_a_figure(name):
    results = ledger.results(name)
    assert results["experiment"] == name and results["scale"] == "full"
    assert results["seeds"] == list(range(5)) and len(results["runs"]) == 5
    assert {"seconds", "device", "threads", "versions"} <= results.keys()
    assert (PICTURES / name / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_every_experiment_belongs_to_a_claim():
    assert sorted(path.parent.name for path in ledger.FOLDER.glob("*/experiment.py")) == EXPERIMENTS


@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: str(claim.id))
def test_a_verdict_follows_the_rule_and_changes_with_the_data(claim):
    committed = ledger.results(claim.experiment)["runs"]
    (row,) = [row for row in ledger.ledger() if row["id"] == claim.id]
    # if all runs are on the same side of the borders, the rule gives the same verdict without an interval
    inside = [all(p.holds[0] <= run[p.effect] <= p.holds[1] for run in committed) for p in claim.parts]
    outside = [not any(p.holds[0] <= run[p.effect] <= p.holds[1] for run in committed) for p in claim.parts]
    if all(i or o for i, o in zip(inside, outside, strict=True)) and row["verdict"] != "open":
        expected = "supported" if all(inside) else "partly" if any(inside) else "wrong"
        assert row["verdict"] == expected
    values = [run[claim.parts[0].effect] for run in committed]
    assert row["effect"] == pytest.approx(sum(values) / len(values)) and row["seeds"] == len(values)

    def moved(into: bool) -> list[dict]:
        """The same runs, with each effect moved to the middle of its range, or out of it."""
        new = []
        for run in committed:
            run = dict(run)
            for part in claim.parts:
                low, high = part.holds
                high = min(high, low + 1e3)
                run[part.effect] = (low + high) / 2 if into else low - 10 * (high - low)
            new.append(run)
        return new

    assert claim.verdict(moved(True)) == "supported" and claim.verdict(moved(False)) == "wrong"


def test_the_fitted_bottleneck_agrees_with_the_closed_form():
    for run in ledger.results("e02_bottleneck")["runs"]:
        assert run["off_the_closed_form"] < 0.02
        # alpha = 0.5, 4 dimensions inside 64, rank 32: by the theorem of Eckart and Young, the excess is 93
        assert run["closed_form"]["eps"][run["ranks"].index(32)] == pytest.approx(93, abs=0.1)
        for name, tolerance in (("x0", 0.05), ("eps", 2.0)):
            for fitted, exact in zip(run["excess"][name], run["closed_form"][name], strict=True):
                assert abs(fitted - exact) < tolerance


# The command


def test_the_command_prints_28_verdicts(capsys):
    assert main(["claims"]) == 0
    out = capsys.readouterr().out
    for row in ledger.ledger():
        assert f"{row['id']:2}  {row['verdict']:10}{row['claim']}" in out
    counts = [int(part.split()[0]) for part in out.splitlines()[-1].split(", ")]
    assert sum(counts) == 28


def test_the_command_prints_json(capsys):
    assert main(["claims", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = {"id", "claim", "verdict", "effect", "interval", "seeds", "record", "lesson"}
    assert len(rows) == 28 and all(row.keys() == keys for row in rows)
    assert rows == ledger.ledger()


@pytest.mark.parametrize("number", [2, 22])
def test_running_a_claim_again_confirms_its_verdict(number, capsys, monkeypatch):
    assert main(["claims", "run", str(number)]) == 0
    assert "it stands" in capsys.readouterr().out
    monkeypatch.setattr(ledger, "results", lambda experiment: {"runs": []})  # nothing committed, so the claim is open
    assert main(["claims", "run", str(number)]) == 1
    assert "it does not stand here" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["run"], "ID must be the number of a claim"),
        (["run", "29"], "ID must be from 1 to 28, got 29"),
        (["--scale", "full"], "--scale and --device are for"),
        (["run", "2", "--scale", "huge"], "--scale"),
        (["run", "2", "--device", "gpu"], "device must be"),
    ],
)
def test_a_wrong_command_gives_one_line_of_error(words, message, capsys):
    assert main(["claims", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_claim_without_an_experiment_cannot_be_measured(capsys, monkeypatch):
    monkeypatch.setattr(ledger, "claims", lambda: [dataclasses.replace(claim(), id=1, experiment="")])
    assert main(["claims", "run", "1"]) == 2
    assert "1 is open" in capsys.readouterr().err


def test_measure_refuses_what_it_cannot_run():
    with pytest.raises(ValueError, match="scale must be lesson or full"):
        next(ledger.measure("e00_one_guess", "tiny", [0], torch.device("cpu")))
    with pytest.raises(FileNotFoundError, match="experiment must be a folder"):
        next(ledger.measure("e99_nothing", "lesson", [0], torch.device("cpu")))


def test_the_readme_agrees_with_the_ledger():
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (\d+) \| ([^|]+) \| (supported|partly|wrong|open) \|", page, flags=re.M)
    rows = {row["id"]: row for row in ledger.ledger()}
    assert len(lines) == 10
    for number, claim, verdict in lines:
        assert (claim, verdict) == (rows[int(number)]["claim"], rows[int(number)]["verdict"])
