"""Do the many trainings of a claim's experiment one after another, one file for each, and skip those that are there.

    python figures/claims/trials.py e18_unets                   tune the learning rates, then five seeds of every arm
    python figures/claims/trials.py e21_width --seeds 10          an experiment that tunes within each run

Several processes may work on one queue at a time. When it is empty, the runs are put together in results.json beside
the experiment, and its picture is drawn here.
"""

import json
import platform
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from filelock import FileLock, Timeout
from tqdm import tqdm

from minidiffusion.course import ledger
from minidiffusion.training.device import as_device

HERE, FIRST_SEED = Path(__file__).parent, 1000  # seeds that no earlier experiment has used


def work(todo, make):
    """Make every file that is not there yet and that no other process is making; say how long the rest will take."""
    left = [(path, key) for path, key in todo if not path.exists()]
    for path, key in tqdm(left, unit="run"):
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                if not path.exists():
                    started, found = time.perf_counter(), make(*key)
                    found = {"result": found, "seconds": round(time.perf_counter() - started, 1)}
                    path.with_suffix(".part").write_text(json.dumps(found) + "\n")
                    path.with_suffix(".part").rename(path)
        except Timeout:
            continue
    return all(path.exists() for path, _ in todo)


def main():
    parser = Parser(__doc__)
    parser.add_argument("experiment", metavar="EXPERIMENT")
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: 5")
    parser.add_argument("--device", help="cpu, cuda, mps; default: the best there is")
    parser.add_argument("--tune", action="store_true", help="only choose the learning rates")
    args = parser.parse()
    module, device = ledger.load(args.experiment), as_device(args.device)
    folder = HERE / args.experiment / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    names = module.arms("full")

    if hasattr(module, "tune"):
        tuning = [(folder / f"tune {name}.json", (name,)) for name in names]
        if not work(tuning, module.tune):
            raise SystemExit("another process is still tuning; run this again when it is done")
        rates = {name: json.loads(path.read_text())["result"] for path, (name,) in tuning}
        (ledger.FOLDER / args.experiment / "rates.json").write_text(json.dumps(rates, indent=1) + "\n")
    if args.tune:
        return
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    todo = [(folder / f"{name} {seed}.json", (name, seed)) for seed in seeds for name in names]
    if not work(todo, lambda name, seed: module.job(name, seed, "full", device)):
        raise SystemExit("the rest is being done by another process")
    collect(module, args.experiment, folder, seeds, names, device)


def collect(module, experiment, folder, seeds, names, device):
    files = {(n, s): json.loads((folder / f"{n} {s}.json").read_text()) for n in names for s in seeds}
    read = {place: file["result"] for place, file in files.items()}
    for (_, seed), result in read.items():
        if seed != seeds[0]:
            result.pop("shown", None)  # pictures of one seed are enough, and the file goes with the package
    results = {
        "experiment": experiment,
        "scale": "full",
        "seeds": list(seeds),
        "seconds": round(sum(file["seconds"] for file in files.values()), 1),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        **({"yardsticks": module.yardsticks(1000)} if hasattr(module, "yardsticks") else {}),
        "runs": [module.combined({name: read[name, seed] for name in names}, "full") for seed in seeds],
    }
    (ledger.FOLDER / experiment / "results.json").write_text(json.dumps(results) + "\n")
    module.plot(results["runs"]).savefig(HERE / experiment / "picture.png", dpi=120)


if __name__ == "__main__":
    main()
