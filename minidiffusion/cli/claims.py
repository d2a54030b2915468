"""Print the claims of the article with their verdicts, or repeat the experiment behind a claim."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from typing import Any

from tqdm import tqdm

from ..course import ledger
from ..course.verdicts import short
from ..training.device import as_device
from .inputs import whole

HELP = "print the verdict on each claim of the article, or test a claim again"
EXAMPLES = """examples:
  minidiffusion claims
  minidiffusion claims --json
  minidiffusion claims run 12
  minidiffusion claims run 21 --scale full

A claim has parts, each a number with a range. There are four verdicts: supported (every part is in its range), partly
(some are), refuted (none is), and open (not measured yet, or the seeds cannot tell).

The scale "lesson" runs three seeds and takes under two minutes on two cores. The published verdicts come from the scale
"full", with five seeds or more.
"""
SEEDS = {"lesson": range(3), "full": range(5)}


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("action", nargs="?", choices=("run",), metavar="run", help="repeat the experiment behind claim ID")
    add("id", nargs="?", type=whole(1), metavar="ID", help="the number of a claim")
    add("--scale", choices=("lesson", "full"), metavar="SCALE", help="lesson or full; default: lesson")
    add("--device", metavar="D", help="cpu, cuda, mps; default: cpu")
    add("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    if args.action is None:
        if args.scale or args.device:
            raise ValueError("--scale and --device are for `claims run ID` only")
        show(ledger.ledger(), args.json)
        return 0
    if args.id is None:
        raise ValueError("ID must be the number of a claim, as in `claims run 12`")
    return again(args.id, args.scale or "lesson", args.device or "cpu", args.json)


def again(number: int, scale: str, device: str, as_json: bool) -> int:
    """Measure the claim again and compare the verdicts. Returns 0 if they agree, 1 if not."""
    known = {claim.id: claim for claim in ledger.claims()}
    if number not in known:
        raise ValueError(f"ID must be from 1 to {len(known)}, got {number}")
    claim = known[number]
    if not claim.parts:
        raise ValueError(f"ID must be a claim with an experiment, but claim {number} is open and has none yet")
    seeds, runs = SEEDS[scale], {}
    for name in claim.experiments:
        for found in tqdm(ledger.measure(name, scale, seeds, as_device(device)), name, len(seeds)):
            runs[name] = found["runs"]
    (row,) = ledger.rows([claim], runs)
    committed = next(row["verdict"] for row in ledger.ledger() if row["id"] == number)
    show([row], as_json)
    stands = row["verdict"] == committed
    if not as_json:
        outcome = "it stands" if stands else "it does not stand here"
        print(f"\nThe published verdict is {committed!r}, and {outcome}.")
    return 0 if stands else 1


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        json.dump(rows, sys.stdout, indent=1)
        print()
        return
    for row in rows:
        print(f"{row['id']:2}  {row['verdict']:10}{row['claim']}")
        for part in row["parts"]:
            print(textwrap.fill(sentence(part), 110, initial_indent="    - ", subsequent_indent=" " * 6))
        for name, text in (("record", f"{row['agrees']}: {row['record']}"), ("lesson", row["lesson"])):
            print(textwrap.fill(text, 110, initial_indent=f"    {name:8}", subsequent_indent=" " * 12))
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ledger.VERDICTS}
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))


def sentence(part: dict[str, Any]) -> str:
    """A part with its name, what was measured, its value and unit, the range asked for, and the outcome."""
    low, high = part["range"]
    asked = f"at least {low:g}" if high is None else f"at most {high:g}" if low is None else f"{low:g} to {high:g}"
    head = f"{part['name']}: {part['measured']}"
    if part["value"] is None:
        return f"{head}: not measured yet; asked: {asked} ({part['kind']})"
    ends = part["interval"]
    between = f" [{short(ends[0])}, {short(ends[1])}]" if ends and part["kind"] != "exact" else ""
    of = f"{part['kind']}, {part['seeds']} seeds"
    return f"{head}: {short(part['value'])}{between} {part['unit']}; asked: {asked}; {part['outcome']} ({of})"
