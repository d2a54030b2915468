"""Compare the speed of this checkout with that of another version of it, by turns: training, sampling and overhead.

    git worktree add ../before COMMIT
    python figures/speed/versions.py ../before

Each version runs in a process of its own that waits while the other one works. Writes a file in figures/speed/versions:
for each row, how many times as fast as the other version this one is. There are many short runs. "median" is the median
of the rounds' ratios. "best_tenth" compares the rate that a tenth of the runs exceed, because on a shared machine other
work can only slow a run down.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from protocol import machine, rate, ratios, rounded, take_turns, watch_others

import minidiffusion as md

SECONDS, ROUNDS = 0.1, 40
# How often glibc hands freed memory back and asks for it again depends on where its blocks happen to lie: we saw 800 to
# 3,200 page faults a call of the U-Net, with one and the same version. With these settings it keeps the memory
HEAP = {"MALLOC_TRIM_THRESHOLD_": "2000000000", "MALLOC_MMAP_THRESHOLD_": "2000000000"}
HERE, SHAPES = Path(__file__).parent, {"28x28": (1, 28, 28), "32x32": (3, 32, 32)}


def contenders() -> dict[str, Callable[[], int]]:
    """What one call of each row does, and how many images or steps that is; the same code for both versions."""
    rows: dict[str, Callable[[], int]] = {}
    schedule = md.schedule.cosine()
    for size, shape in SHAPES.items():
        torch.manual_seed(0)
        net = md.nets.UNet(channels=shape[0], widths=(32, 64, 128), blocks=(1, 2, 2))
        denoise = md.Denoiser(net.to(memory_format=torch.channels_last), schedule, md.heads.V)
        steps = md.fit(denoise, torch.randn(512, *shape).clamp(-1, 1), 100_000, batch_size=64, weighting="min_snr")
        rows[f"training, {size}"] = lambda steps=steps: len(next(steps).loss_per_item)
        for count in (25, 50):
            x_1 = torch.randn(8, *shape)
            rows[f"sampling, {size}, {count} steps"] = lambda d=denoise, x=x_1, n=count: len(
                md.sample(d.eval(), x, None, n)
            )
    x_1 = torch.randn(64, 1, 28, 28)
    linear = md.schedule.linear()
    eps = md.Denoiser(lambda x, t, cond=None: x, linear, md.heads.EPS)
    for method in ("ddim", "euler", "dpmpp_2m", "unipc"):
        rows[f"overhead, x0 {method}"] = lambda m=method: (
            50 * bool(md.sample(lambda x, t: x, x_1, linear, 50, m) is not None)
        )
        rows[f"overhead, eps {method}"] = lambda m=method: 50 * bool(md.sample(eps, x_1, None, 50, m) is not None)
    return rows


def serve() -> None:
    """Answer each name of a row on a line of its own with the rate of that row."""
    runs = {name: rate(work, torch.device("cpu"), SECONDS) for name, work in contenders().items()}
    print(json.dumps(list(runs)), flush=True)
    for line in sys.stdin:
        print(runs[line.strip()](), flush=True)


def start(package: Path) -> subprocess.Popen:
    environment = {**os.environ, **HEAP, "PYTHONPATH": os.pathsep.join([str(package), str(HERE)])}
    command = [sys.executable, str(HERE / "versions.py"), "--serve"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(process: subprocess.Popen, line: str) -> float:
    print(line, file=process.stdin, flush=True)
    return float(process.stdout.readline())


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve()
        sys.exit()
    load: dict = {}
    with watch_others(load):
        servers, rows = {}, []
        for name, package in (("this", HERE.parents[1]), ("before", Path(sys.argv[1]).resolve())):
            servers[name] = start(package)
            rows = json.loads(servers[name].stdout.readline())  # type: ignore[union-attr]
        result = {}
        for row in (row for row in rows if not sys.argv[2:] or any(word in row for word in sys.argv[2:])):
            rounds = take_turns({name: lambda s=s, r=row: ask(s, r) for name, s in servers.items()}, ROUNDS)
            best = [statistics.quantiles(rounds[name], n=10)[-1] for name in ("this", "before")]
            median, *_ = ratios(rounds["this"], rounds["before"])
            result[row] = {"best_tenth": rounded(best[0] / best[1]), "median": rounded(median)}
            print(f"{row:32} {result[row]}", flush=True)
        for server in servers.values():
            server.stdin.close()  # type: ignore[union-attr]
            server.wait()
    commits = [
        subprocess.run(
            ["git", "-C", str(f), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip()
        for f in (HERE.parents[1], sys.argv[1])
    ]
    about = {
        "command": " ".join(["python figures/speed/versions.py ../before", *sys.argv[2:]]),
        "this": commits[0],
        "before": commits[1],
    }
    about |= {
        "rounds": ROUNDS,
        "seconds_a_run": SECONDS,
        "machine": machine(torch.device("cpu")),
        "torch": torch.__version__,
    }
    file = HERE / "versions" / f"{md.__version__}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(about | {"load": load, "times_as_fast": result}, indent=1) + "\n")
