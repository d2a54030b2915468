"""The protocol: all projects take turns in one process for several rounds. And what every number must report."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

Runs = dict[str, list[float]]


def take_turns(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Runs:
    """Each runs once in every round. Every second round is reversed, so that none always follows the same one."""
    runs: Runs = {name: [] for name in contenders}
    for number in range(rounds):
        for name in contenders if number % 2 == 0 else reversed(contenders):
            gc.collect()
            runs[name].append(contenders[name]())
    return runs


def rate(work: Callable[[], int], device: torch.device, seconds: float) -> Callable[[], float]:
    """A contender that calls `work` for about `seconds` and returns the sum of its results, such as images, per second.

    One call warms up. If it was short, a second one tells how many calls fit into `seconds`.
    """
    calls = 1

    def run() -> float:
        settle(device)
        started = time.perf_counter()
        done = sum(work() for _ in range(calls))
        settle(device)
        return done / (time.perf_counter() - started)

    for _ in range(2):
        started = time.perf_counter()
        run()
        took = time.perf_counter() - started
        if took > seconds:
            break
    calls = max(1, round(seconds / took))
    return run


def settle(device: torch.device) -> None:
    """Wait for the GPU, which works asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def summary(runs: list[float]) -> dict[str, Any]:
    return {"median": rounded(statistics.median(runs)), "runs": [rounded(value) for value in runs]}


def ratios(runs: list[float], reference: list[float]) -> tuple[float, float, float]:
    """Median, lowest and highest ratio to the reference, round by round, so that slow rounds cancel out."""
    each = [a / b for a, b in zip(runs, reference, strict=True)]
    return statistics.median(each), min(each), max(each)


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def machine(device: torch.device) -> dict[str, Any]:
    """The facts about the machine on which the numbers depend. It does not include a host name or a path."""
    return {
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "device": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "fast_bfloat16": instructions(),
        "system": platform.system(),
    }


def commit() -> str:
    """The commit of this package, with a + if its files have been changed since."""
    git = ["git", "-C", str(Path(__file__).parents[2])]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "minidiffusion"]).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + "+" * bool(changed)


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def instructions() -> str:
    """The processor's instructions for multiplying bfloat16, if it has any."""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512" if torch.cpu._is_avx512_bf16_supported() else "none"


@contextmanager
def watch_others(result: dict[str, Any]) -> Iterator[None]:
    """Write into `result` how many cores other processes used meanwhile, if the system tells. It should be near 0."""
    result["load_at_start"] = rounded(os.getloadavg()[0]) if hasattr(os, "getloadavg") else None
    before, started = _busy_others(), time.perf_counter()
    yield
    after, seconds = _busy_others(), time.perf_counter() - started
    result["seconds"] = round(seconds)
    known = before is not None and after is not None
    result["cores_used_by_others"] = round(max(0.0, after - before) / seconds, 2) if known else None
    result["provisional"] = not known or result["cores_used_by_others"] > 0.1


def _busy_others() -> float | None:
    """Seconds of processor time, over all cores, that other processes than this one and its children used."""
    try:
        with open("/proc/stat") as lines:
            user, nice, system, _idle, _waiting, *rest = map(int, next(lines).split()[1:])
    except (OSError, ValueError):
        return None
    busy = user + nice + system + sum(rest[:3])  # interrupts, and time taken by the hypervisor
    return busy / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])
