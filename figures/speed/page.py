"""Make the figure and the tables from the JSON files in this folder. No number in the tables is typed by hand.

python figures/speed/page.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from protocol import ratios

from minidiffusion import plots

HERE = Path(__file__).parent
BEGIN, END = "<!-- page.py writes from here -->", "<!-- to here -->"
REFERENCE = "diffusers"
PROJECTS = ("minidiffusion", "diffusers", "denoising-diffusion-pytorch", "smalldiffusion", "k-diffusion")
GROWTH = ("batch", "side", "width", "steps")
Result = dict[str, Any]


def slug(machine: Result) -> str:
    """The name of a machine's file: its processor, its number of cores, and its instructions for bfloat16."""
    name = machine["processor"]
    if machine["device"] == "cpu":
        name += f" {machine['cores']} cores"
        name += "" if machine["fast_bfloat16"] == "none" else f" {machine['fast_bfloat16']}"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Item(NamedTuple):
    """One comparison: by which factor each project is better than diffusers."""

    name: str
    aim: float | None  # the factor that this package aims for
    times: dict[str, tuple[float, float, float]]  # project: median, lowest, highest of the rounds


def compared(runs: dict[str, list[float]], name: str, aim: float | None, less_is_better: bool = False) -> Item | None:
    if REFERENCE not in runs:
        return None
    pairs = {p: (runs[REFERENCE], r) if less_is_better else (r, runs[REFERENCE]) for p, r in runs.items()}
    return Item(name, aim, {project: ratios(*pair) for project, pair in pairs.items()})


def items(result: Result) -> list[Item]:
    found: list[Item | None] = []
    choices: list[tuple[str, Callable[[Result], str], float | None]] = [
        ("own defaults", lambda p: p["default"], 2.5),
        ("float32, each at its best", lambda p: best(p, "float32"), 1.1),
        ("any precision, each at its best", best, None),
    ]
    for what, cases in _rates(result):
        crossed = any(len(p["ways"]) > 1 for p in cases.values())
        for label, choose, aim in choices if crossed else choices[:1]:
            runs = {name: p["ways"][choose(p)]["runs"] for name, p in cases.items()}
            found.append(compared(runs, f"{what}, {label}", aim))
    for method, projects in result.get("overhead", {}).get("methods", {}).items():
        runs = {"minidiffusion": projects["minidiffusion, eps"]["runs"]}
        runs |= {REFERENCE: projects[REFERENCE]["runs"]} if REFERENCE in projects else {}
        found.append(compared(runs, f"a step of {method} without its network", 2.0, less_is_better=True))
    if "startup" in result:
        runs = {name: p["runs"] for name, p in result["startup"]["import"]["projects"].items()}
        found.append(compared(runs, "time to import", None, less_is_better=True))
        for case, projects in result["startup"]["memory"]["cases"].items():
            runs = {name: [p[p["default"]]] for name, p in projects.items()}
            found.append(compared(runs, f"memory of a training step {case}", None, less_is_better=True))
    return [item for item in found if item]


def _rates(result: Result) -> list[tuple[str, Result]]:
    """(what, {project: its numbers}) for everything that is counted in images per second."""
    training = [(f"training {case}", cases) for case, cases in result.get("training", {}).get("cases", {}).items()]
    sampling = [
        (f"sampling {case}, {steps} steps", projects)
        for steps, cases in result.get("sampling", {}).get("steps", {}).items()
        for case, projects in cases.items()
    ]
    return training + sampling


def best(project: Result, precision: str = "") -> str:
    """The fastest way of a project, in `precision` if it is given."""
    ways = {way: p["median"] for way, p in project["ways"].items() if way.startswith(precision)}
    return max(ways, key=ways.__getitem__)


def picture(result: Result) -> Figure:
    """By which factor each project is better than diffusers: markers show medians, lines the range over rounds."""
    rows = items(result)
    figure = Figure(figsize=(8, 0.42 * len(rows) + 1.3), layout="constrained")
    axis = figure.subplots()
    for i, project in enumerate(PROJECTS):
        seen = [(y, item.times[project]) for y, item in enumerate(rows) if project in item.times]
        heights = [y + 0.14 * (i - 2) for y, _ in seen]
        colour, marker = plots.COLOURS[i], plots.MARKERS[i]
        axis.hlines(heights, [low for _, (_, low, _) in seen], [high for _, (_, _, high) in seen], color=colour, lw=1.2)
        axis.plot([m for _, (m, _, _) in seen], heights, marker, color=colour, markersize=5, label=project)
    aims = [(y, item.aim) for y, item in enumerate(rows) if item.aim]
    axis.plot([aim for _, aim in aims], [y for y, _ in aims], "|", color="0.4", markersize=16, label="aim")
    axis.axvline(1, color="0.7", lw=1, zorder=0)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
    low, high = axis.get_xlim()
    axis.set_xticks([tick for tick in ticks if low <= tick <= high])
    axis.set_yticks(range(len(rows)), [item.name for item in rows])
    axis.invert_yaxis()
    axis.set_xlabel("times as good as diffusers, larger is better", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(each: Result) -> str:
    """The median, with the lowest and the highest run in brackets."""
    return f"{number(each['median'])} ({number(min(each['runs']))} to {number(max(each['runs']))})"


def distance(project: Result) -> str:
    return number(project["frechet_distance"]) if "frechet_distance" in project else "not trained"


def times(item: Item) -> list[str]:
    median, low, high = item.times["minidiffusion"]
    reached = "" if item.aim is None else f"{item.aim:g}: {'reached' if median >= item.aim else 'missed'}"
    return [item.name, f"{number(median)} ({number(low)} to {number(high)})", reached]


def tables(result: Result) -> str:
    parts = [
        "By which factor this package is better than diffusers: the median over the rounds, and in brackets the lowest "
        "and the highest round. For time and memory, less is better, so the factor is diffusers' number over ours.\n"
    ]
    parts.append(table(["", "factor", "aim"], [times(item) for item in items(result)]))
    for what, projects in _rates(result):
        columns: dict[str, Callable[[Result], str]] = {
            "parameters": lambda p: f"{p['parameters']:,}",
            "GFLOP forward": lambda p: f"{p['gflop_forward']:.3f}",
            "own default": lambda p: p["default"],
            "images/s": lambda p: spread(p["ways"][p["default"]]),
        }
        if any(len(p["ways"]) > 1 for p in projects.values()):
            columns |= {
                "float32 images/s": lambda p: spread(p["ways"][best(p, "float32")]),
                "best way": best,
                "its images/s": lambda p: spread(p["ways"][best(p)]),
            }
        rows = [[name, *(column(p) for column in columns.values())] for name, p in projects.items()]
        parts.append(table([what, *columns], rows))
    if "overhead" in result:
        methods = result["overhead"]["methods"]
        names = list(dict.fromkeys(name for projects in methods.values() for name in projects))
        rows = [
            [method, *(spread(projects[name]) if name in projects else "" for name in names)]
            for method, projects in methods.items()
        ]
        parts.append(table(["microseconds a step", *names], rows))
    if "startup" in result:
        rows = [[name, f"`{p['line']}`", spread(p)] for name, p in result["startup"]["import"]["projects"].items()]
        parts.append(table(["import", "line", "seconds on top of torch"], rows))
        for case, projects in result["startup"]["memory"]["cases"].items():
            rows = [[name, p["default"], number(p[p["default"]]), number(p["float32"])] for name, p in projects.items()]
            parts.append(table([f"memory {case}", "own default", "MB", "MB in float32"], rows))
    if "limits" in result:
        parts += limits(result["limits"])
    if "quality" in result:
        quality = result["quality"]
        rows = [
            [name, p["precision"], str(p["batch"]), spread(p["images_per_second"]), str(p["steps"]), distance(p)]
            for name, p in quality["projects"].items()
        ]
        for name, value in quality.get("yardsticks", {}).items():
            rows.append([name.replace("_", " "), "", "", "", "", number(value)])
        head = [f"{quality['minutes']:g} minutes of training", "precision", "batch", "images/s", "steps"]
        parts.append(table([*head, "Frechet distance"], rows))
    for along in GROWTH:
        if along in result.get("growth", {}):
            values = result["growth"][along]
            head = [f"images/s by {along}", *next(iter(values.values()))]
            parts.append(table(head, [[name, *map(spread, each.values())] for name, each in values.items()]))
    if "growth" in result:
        processes = result["growth"]["processes"]
        parts.append(table(["processes", *processes], [["images/s in total", *map(number, processes.values())]]))
    return "\n".join(parts)


def limits(part: Result) -> list[str]:
    """How close training and sampling come to the machine's limit, and where their time goes."""
    products, steps = part["products"], part["steps"]
    rows = []
    for name, step in steps.items():
        speed, limit = step["gflop_per_second"], products[step["precision"]]
        reached = f"{speed['median'] / limit['median']:.0%}"
        rows.append([name, step["precision"], number(step["gflop"]), spread(speed), spread(limit), reached])
    head = ["training step or sampling", "precision", "GFLOP", "GFLOP/s", "GFLOP/s of a matrix product", "reached"]
    kinds = list(next(iter(steps.values()))["shares"])
    where = [[name, *(f"{step['shares'][kind]:.0%}" for kind in kinds)] for name, step in steps.items()]
    return [table(head, rows), table(["where its time goes", *kinds], where)]


def section(file: Path) -> str:
    result = json.loads(file.read_text())
    about = result["machine"]
    bfloat16 = f", instructions for bfloat16: {about['fast_bfloat16']}" if about["device"] == "cpu" else ""
    lines = [
        f"### {about['processor']}, {about['cores']} cores{bfloat16}\n",
        f"Device: {about['device']} with {about['threads']} threads on {about['system']}. "
        f"The numbers are in [{file.name}]({file.name}).\n",
    ]
    lines += [provenance(name, part) for name, part in result.items() if "load" in part]
    return "\n".join(
        [
            *lines,
            f"\n![How each project compares with diffusers, with a row for each measurement]({file.stem}.png)\n",
            tables(result),
        ]
    )


def provenance(name: str, part: Result) -> str:
    load = part["load"]
    state = "**provisional: the machine was not free**" if load["provisional"] else "the machine was free"
    versions = ", ".join(f"{project} {version}" for project, version in part["versions"].items())
    return (
        f"- {name}: `{part['command']}`, {part['rounds']} rounds with runs of {part['seconds_a_run']:g} s; {state} "
        f"(other processes used {load['cores_used_by_others']} cores); commit {part['commit']}; {versions}"
    )


def page() -> str:
    """README.md as it should be: the text written by hand, and between the markers the tables made from the files."""
    before, rest = (HERE / "README.md").read_text().split(BEGIN)
    sections = "\n".join(section(file) for file in sorted(HERE.glob("*.json")))
    return f"{before}{BEGIN}\n\n{sections}\n{END}{rest.split(END)[1]}"


def write() -> None:
    for file in HERE.glob("*.json"):
        picture(json.loads(file.read_text())).savefig(file.with_suffix(".png"), dpi=120)
    (HERE / "README.md").write_text(page())


if __name__ == "__main__":
    write()
