"""The ledger: the rule for a verdict, and whether every verdict follows from the committed data by this rule."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch

from minidiffusion.cli import main
from minidiffusion.course import ledger, short
from minidiffusion.course.ledger import Claim, Part

PICTURES = Path(__file__).parents[1] / "figures" / "claims"
CLAIMS = ledger.claims()
MEASURED = [claim for claim in CLAIMS if claim.parts]
EXPERIMENTS = sorted({name for claim in MEASURED for name in claim.experiments})


def part(effect, holds, kind="post hoc", ratio=False):
    return Part("", "", "", effect, holds, kind, ratio, "an experiment")


def claim(*ranges, number=1):
    parts = tuple(part(f"effect{i}", holds) for i, holds in enumerate(ranges))
    return Claim(number, *[""] * 9, parts=parts)


def verdict(claim, found):
    """The verdict on one claim by itself."""
    return ledger.verdict(claim, ledger.outcomes({name: found for name in claim.experiments}, [claim]))


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
    one = claim((1.0, 2.0))

    def outcome(*values):
        return ledger.outcomes({"an experiment": runs(values)}, [one])[1, 0]

    assert outcome(1.4, 1.5, 1.6) is True
    assert outcome(2.9, 3.0, 3.1) is False and outcome(-1.0, -1.1, -0.9) is False
    assert outcome(1.9, 2.0, 2.1) is None and outcome(0.9, 1.0, 1.1) is None
    assert outcome(0.0, 1.5, 3.0) is None  # wider than the range
    assert outcome(1.5, 1.5, 1.5) is None and outcome(2.5, 2.5, 2.5) is None  # no scatter to judge by
    above = claim((5.0, math.inf))
    assert ledger.outcomes({"an experiment": runs((8.0, 9.0))}, [above])[1, 0] is None  # two seeds tell little
    assert ledger.outcomes({"an experiment": runs((8.0, 8.1, 9.0, 9.1))}, [above])[1, 0] is True


def test_a_probability_agrees_with_the_interval():
    # a border at an end of the 95% interval has the probability 0.05
    values = [1.0, 2.0, 4.0, 4.5, 6.0]
    low, high = ledger.interval(values)
    assert part("", (low, math.inf)).probability(values) == pytest.approx(0.05)
    assert part("", (-math.inf, high)).probability(values) == pytest.approx(0.05)
    assert part("", (low, high), kind="exact").probability(values) == 0


def test_a_ratio_is_judged_on_the_log_scale():
    ratio, values = part("", (1.1, math.inf), ratio=True), [0.5, 2.0, 8.0]
    assert ratio.mean(values) == pytest.approx(2.0)
    low, high = ratio.interval(values)
    assert low * high == pytest.approx(4.0)  # as far below 2 as above, in factors
    turned = part("", (0.0, 1 / 1.1), ratio=True)
    assert turned.probability([1 / value for value in values]) == pytest.approx(ratio.probability(values))


def test_holm_corrects_for_the_number_of_parts():
    # Holm 1979: 0.01 x 4, 0.013 x 3, 0.02 x 2, 0.6 x 1, and never smaller than the one before
    assert ledger.holm([0.02, 0.01, 0.6, 0.013]) == pytest.approx([0.04, 0.04, 0.6, 0.04])
    assert ledger.holm([]) == [] and ledger.holm([0.9, 0.8]) == [1.0, 1.0]


def test_luck_rarely_decides_a_part():
    """Fifty parts whose truth lies on the border: with the correction, hardly ever is one of them decided."""
    generator, wrong = torch.Generator().manual_seed(0), 0
    many = claim(*[(0.0, math.inf)] * 50)
    for _ in range(100):
        values = torch.randn(5, 50, generator=generator, dtype=torch.float64)
        found = [{f"effect{i}": row[i].item() for i in range(50)} for row in values]
        wrong += any(outcome is not None for outcome in ledger.outcomes({"an experiment": found}, [many]).values())
    assert wrong <= 12  # of 100, where 5 are expected; without the correction it is 92


def test_the_verdict_follows_from_the_parts():
    yes, no, border = [1.0, 1.1, 1.2], [9.0, 9.1, 9.2], [1.9, 2.0, 2.1]
    two = claim((0.0, 2.0), (0.0, 2.0))
    verdicts = {"supported": (yes, yes), "partly": (yes, no), "refuted": (no, no), "open": (yes, border)}
    for word, effects in verdicts.items():
        assert verdict(two, runs(*effects)) == word
    assert verdict(two, runs(no, yes)) == "partly" and verdict(two, runs(border, no)) == "open"
    assert verdict(two, []) == "open" and verdict(claim(), runs(yes)) == "open"
    three = claim((0.0, 2.0), (0.0, 2.0), (0.0, 2.0))
    assert verdict(three, runs(yes, border, no)) == "partly" and verdict(three, runs(border, no, no)) == "open"


# The committed results


def test_there_are_28_claims_and_each_says_what_would_refute_it():
    assert [claim.id for claim in CLAIMS] == list(range(1, 29))
    for claim in CLAIMS:
        told = (claim.article, claim.best, claim.test, claim.supports, claim.refutes, claim.fixed, claim.record)
        assert all((*told, claim.lesson, claim.doubt)), claim.id
        assert claim.agrees in ledger.AGREES and all(claim.experiments), claim.id
        for part in claim.parts:
            assert all((part.name, part.measured, part.unit)) and part.kind in ledger.KINDS, claim.id
            assert part.holds[0] < part.holds[1], claim.id


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_seeds_a_provenance_and_a_figure(name):
    results = ledger.results(name)
    if not results["runs"]:  # its rules are written down, and its runs are still to come
        return
    assert results["experiment"] == name and results["scale"] == "full"
    assert len(results["runs"]) == len(set(results["seeds"])) >= 5
    assert {"seconds", "device", "threads", "versions"} <= results.keys()
    assert (PICTURES / name / "picture.png").read_bytes()[:4] == b"\x89PNG"
    if "shown" in results["runs"][0]:  # pictures of the first seed, whatever its number
        ledger.load(name).plot(results["runs"])
        assert all("shown" not in run for run in results["runs"][1:])


@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: str(claim.id))
def test_a_range_that_came_first_is_tested_with_new_seeds(claim):
    for part in claim.parts:
        if part.kind == "preregistered":
            assert all(seed >= 1000 for seed in ledger.results(part.experiment).get("seeds", []))


def test_every_experiment_belongs_to_a_claim_or_a_lesson():
    lessons = "".join(path.read_text() for path in (PICTURES.parents[1] / "lessons").glob("[0-9]*.ipynb"))
    for name in (path.parent.name for path in ledger.FOLDER.glob("*/experiment.py")):
        assert name in EXPERIMENTS or name in lessons, name


@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: str(claim.id))
def test_a_verdict_follows_the_rule_and_changes_with_the_data(claim):
    (row,) = [row for row in ledger.ledger() if row["id"] == claim.id]
    if all(part["seeds"] for part in row["parts"]):
        for part, found in zip(claim.parts, row["parts"], strict=True):
            values = [run[part.effect] for run in ledger.results(part.experiment)["runs"]]
            mean = sum(values) / len(values)
            if part.ratio:
                mean = math.exp(sum(math.log(value) for value in values) / len(values))
            low, high = part.holds
            assert found["value"] == pytest.approx(mean) and found["seeds"] == len(values)
            assert found["outcome"] in ("undecided", "holds" if low <= mean <= high else "fails")
        said = {part["outcome"] for part in row["parts"]}
        known = {frozenset({"holds"}): "supported", frozenset({"fails"}): "refuted"}
        expected = "partly" if {"holds", "fails"} <= said else known.get(frozenset(said), "open")
        assert row["verdict"] == expected

    def moved(into: bool) -> list[dict]:
        """The same runs, with each effect moved to the middle of its range, or out of it."""
        new = []
        for seed in range(5):
            run = {}
            for part in claim.parts:
                low, high = part.holds
                high = min(high, low + 1e3)
                out = high * 10 if part.ratio and math.isfinite(part.holds[1]) else low - 10 * (high - low)
                middle = (low + high) / 2 if into else low / 10 if part.ratio and low > 0 else out
                run[part.effect] = middle + 1e-5 * seed * (high - low)  # equal numbers would not say how much they vary
            new.append(run)
        return new

    assert verdict(claim, moved(True)) == "supported" and verdict(claim, moved(False)) == "refuted"


def test_the_fitted_bottleneck_agrees_with_the_closed_form():
    for run in ledger.results("e02_bottleneck")["runs"]:
        assert run["off_the_closed_form"] < 0.02
        # alpha = 0.5, 4 dimensions inside 64, rank 32: by the theorem of Eckart and Young, the excess is 93
        assert run["closed_form"]["eps"][run["ranks"].index(32)] == pytest.approx(93, abs=0.1)
        for name, tolerance in (("x0", 0.05), ("eps", 2.0)):
            for fitted, exact in zip(run["excess"][name], run["closed_form"][name], strict=True):
                assert abs(fitted - exact) < tolerance


def test_the_other_priors_have_the_moments_that_they_claim():
    priors = ledger.load("e06_other_priors")
    level = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000  # the middles of equally probable slices
    for name, fourth in (("gaussian", 3.0), ("uniform", 9 / 5), ("laplace", 6.0), ("signs", 1.0)):
        x = priors.start(name, level, torch.special.ndtri(level))
        found = [x.pow(power).mean().item() for power in range(1, 5)]
        assert found == pytest.approx([0.0, 1.0, 0.0, fourth], abs=0.02), name

    pictures = priors.e18.pictures()[0]
    wanted = torch.cov(pictures.flatten(1).double().T)
    units = torch.eye(196, dtype=torch.float64).view(196, 1, 14, 14)
    none = torch.zeros(1, 1, 14, 14, dtype=torch.float64)
    centre = priors.start("fitted", pictures[:1], none)
    assert torch.allclose(centre.flatten(), pictures.flatten(1).double().mean(0))
    colour = (priors.start("fitted", pictures[:196], units) - centre).flatten(1)
    assert torch.allclose(colour.T @ colour, wanted, atol=1e-6)  # the covariance of the pictures

    signal = priors.start("tied", pictures, torch.zeros_like(pictures, dtype=torch.float64)).flatten(1)
    assert torch.allclose(torch.cov(signal.T), 0.5 * torch.eye(196, dtype=torch.float64), atol=1e-6)
    noise = priors.start("tied", pictures[:1].expand(196, -1, -1, -1), units).flatten(1) - signal[:1]
    assert torch.allclose(noise, 0.5**0.5 * units.flatten(1), atol=1e-9)


def test_the_rematch_spends_the_same_counted_arithmetic_on_every_model():
    race = ledger.load("e27_rivals")
    for budget in race.BUDGETS:
        assert race.steps_for("v", budget, "full") == 600 * budget
        spent = {name: race.steps_for(name, budget, "full") * race.cost(name) for name in race.TRIALS}
        assert all(abs(spent[name] - spent["v"]) <= race.cost(name) / 2 for name in spent)  # to within half a step


def test_the_rematch_compares_the_best_of_each_kind():
    race = ledger.load("e27_rivals")

    def scores(frechet, precision=0.5, recall=0.5):
        return {"frechet": frechet, "precision": precision, "recall": recall}

    models = {"eps": scores(4.0), "x0": scores(2.0, 0.8, 0.7), "v": scores(3.0), "IMLE": scores(9.0)}
    models |= {
        "GAN 2014": scores(6.0, 0.6, 0.4),
        "GAN 2024": scores(7.0),
        "VAE": scores(8.0),
        "VAE, fitted": scores(5.0),
    }
    found = {
        f"{name} x{budget}": {"diverged": False, "scores": {name: models[name]}} for name in models for budget in (1, 4)
    }
    found["VAE x4"]["scores"]["VAE, fitted"] = models["VAE, fitted"]
    one = race.combined(found, "full")
    assert one["diffusion_over_best_rival"] == pytest.approx(2 / 5)
    assert one["gan_over_vae"] == pytest.approx(6 / 8)  # both from N(0, I)
    assert one["imle_over_gan"] == pytest.approx(9 / 6)
    assert one["eps_over_gan"] == pytest.approx(4 / 6) and one["x0_or_v_over_gan"] == pytest.approx(2 / 6)
    assert one["precision_over_gan"] == pytest.approx(0.2) and one["recall_over_gan"] == pytest.approx(0.3)
    found["GAN 2014 x4"] = {"diverged": True}
    assert race.combined(found, "full")["gan_over_vae"] == pytest.approx(7 / 8)


def test_each_model_of_the_rematch_uses_the_best_settings_that_were_tried():
    race, tried = ledger.load("e27_rivals"), json.loads((ledger.FOLDER / "e27_rivals" / "rates.json").read_text())
    assert sorted(tried) == sorted(race.arms("full"))
    for arm, distances in tried.items():
        settings = dict(zip(race.TRIALS[arm.split(" x")[0]], distances, strict=True))
        assert settings[race.settings_of(arm)] == min(found for found in distances if found is not None)


def test_lesson_22_shows_the_measured_shares_of_the_parts():
    project = PICTURES.parents[1]
    cells = nbformat.read(project / "lessons" / "22_the_verdict.ipynb", as_version=4).cells
    (source,) = [cell.source for cell in cells if "parts.json" in cell.source]
    measured = json.loads((project / "figures" / "systems" / "parts.json").read_text())["top1"]
    shown = re.findall(r"0\.\d{3}", source)
    assert len(shown) == 10 and set(shown) <= {f"{found['drawn']:.3f}" for found in measured.values()}


def test_lesson_20_and_the_pages_quote_the_measured_shares_of_dalle_2():
    project = PICTURES.parents[1]
    parts = json.loads((project / "figures" / "systems" / "parts.json").read_text())["top1"]
    share = {name.removeprefix("DALL-E 2").strip(): f"{found['drawn']:.2f}" for name, found in parts.items()}
    text, gap = (
        share[f"without the prior: {rung}"] for rung in ("the text's own embedding", "that embedding plus the mean gap")
    )
    lesson = (project / "lessons" / "20_dalle2.ipynb").read_text()
    assert f"for {text} of the drawings with the text's embedding, {gap} with the gap added, and {share['']}" in lesson
    assert f"recognises {share['']} of the drawings, and {share['without guidance of the prior']} if" in lesson
    page = " ".join((PICTURES / "README.md").read_text().split())
    assert f"DALL-E 2 falls from {share['']} to {text} without its prior ({gap} if" in page


# The command


def test_the_command_prints_28_verdicts(capsys):
    assert main(["claims"]) == 0
    out = capsys.readouterr().out
    for row in ledger.ledger():
        assert f"{row['id']:2}  {row['verdict']:10}{row['claim']}" in out
        assert all(part["name"] in " ".join(out.split()) for part in row["parts"])
    counts = [int(part.split()[0]) for part in out.splitlines()[-1].split(", ")]
    assert sum(counts) == 28


def test_the_command_prints_json(capsys):
    assert main(["claims", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = {"id", "claim", "verdict", "parts", "record", "agrees", "lesson"}
    of_a_part = {"name", "measured", "unit", "range", "value", "interval", "seeds", "kind", "outcome"}
    assert len(rows) == 28 and all(row.keys() == keys for row in rows)
    assert all(part.keys() == of_a_part for row in rows for part in row["parts"])
    assert rows == ledger.ledger()


@pytest.mark.parametrize("number", [2, 12])
def test_running_a_claim_again_confirms_its_verdict(number, capsys, monkeypatch):
    assert main(["claims", "run", str(number)]) == 0
    assert "it stands" in capsys.readouterr().out
    monkeypatch.setattr(ledger, "results", lambda *ignored: {"runs": []})  # nothing committed, so the claim is open
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
    monkeypatch.setattr(ledger, "claims", lambda: [claim()])
    assert main(["claims", "run", "1"]) == 2
    assert "1 is open" in capsys.readouterr().err


def test_measure_refuses_what_it_cannot_run():
    with pytest.raises(ValueError, match="scale must be lesson or full"):
        next(ledger.measure("e00_one_guess", "tiny", [0], torch.device("cpu")))
    with pytest.raises(FileNotFoundError, match="experiment must be a folder"):
        next(ledger.measure("e99_nothing", "lesson", [0], torch.device("cpu")))


def test_the_readme_agrees_with_the_ledger():
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (\d+) \| ([^|]+) \| (supported|partly|refuted|open) \|", page, flags=re.M)
    rows = {row["id"]: row for row in ledger.ledger()}
    assert len(lines) == 13
    for number, claim, verdict in lines:
        assert (claim, verdict) == (rows[int(number)]["claim"], rows[int(number)]["verdict"])


@pytest.mark.parametrize(
    ("number", "i", "said"),
    [
        *(
            (3, 1, "{} numbers for"),
            (4, 0, "(-0.01% [-0.06, 0.03];"),
            (5, 1, "correlation of {}"),
            (5, 4, "With fresh noise it ends {} times [1.4, 4.4] as far"),
        ),
        *(
            (11, 0, "{} [0.40, 0.58]"),
            (15, 0, "is {} [1.4, 1.7] times as large"),
            (20, 1, "by {} [0.94,"),
            (22, 1, "factor of {} and"),
            (6, 0, "With x0 it is {} [0.62, 0.72] from its own"),
            (6, 1, "the distance is {} [0.50, 0.55] of that"),
            (6, 3, "and {} [0.68, 0.75] from one"),
            (23, 0, "The mean, {} [0.92, 1.03], is"),
            (1, 0, "the best U-Net has {} [0.62, 0.81] of its distance"),
            (17, 0, "the better GAN has {} [0.82, 1.02] of the VAE's"),
            (18, 0, "has {} [0.18, 0.26] of the better GAN's"),
            (18, 1, "the better of x0 and v {} [0.15, 0.22]"),
            (27, 0, "Precision is higher by {} [0.15,"),
            (27, 1, "and recall by {} [0.36,"),
        ),
    ],
)
def test_the_page_of_the_claims_says_what_the_ledger_measured(number, i, said):
    row = next(row for row in ledger.ledger() if row["id"] == number)
    text = " ".join((PICTURES / "README.md").read_text().split())
    value = row["parts"][i]["value"]
    assert said.format(short(value)) in text
    assert "-0.01%" not in said or -0.00015 < value < -0.00005


def test_seeds_that_all_agree_do_not_decide():
    part = Part("failures", "share of trainings that fail", "share", "failed", (0.2, 1.0), "preregistered")
    assert part.probability([0.0] * 5) == 1.0
    assert part.probability([0.0, 0.0, 0.0, 0.0, 0.01]) < 1e-3
    assert replace(part, kind="exact").probability([0.0] * 5) == 0.0
