"""Measure this package beside other projects, in one process, taking turns.

    python figures/speed/measure.py                         all but growth and quality; half an hour
    python figures/speed/measure.py --only training
    python figures/speed/measure.py --quick                 seconds a part: does it run?

Needs the extra `bench`; a project that is not installed is skipped. Writes one JSON file a machine, named after its
processor, then the picture and the page (README.md) from all the files here. --quick writes nothing.
"""

import argparse
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")  # a bar costs time, and nobody watches

import torch

import growth
import limits
import networks
import overhead
import page
import startup
from minidiffusion.training.device import as_device
from peers import installed, versions
from protocol import commit, machine, watch_others

HERE = Path(__file__).parent
PARTS = {
    "training": networks.measure_training,
    "sampling": networks.measure_sampling,
    "overhead": overhead.measure,
    "startup": startup.measure,
    "limits": limits.measure,
    "growth": growth.measure,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be given again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    rounds, seconds = (1, 0.0) if arguments.quick else (arguments.rounds, arguments.seconds)

    device, peers = as_device(arguments.device), installed()
    about = machine(device)
    file = HERE / f"{page.slug(about)}.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    result |= {"machine": about}
    for part in arguments.only or [name for name in PARTS if name != "growth"]:
        print(f"{part} ...", flush=True)
        load: dict = {}
        with watch_others(load):
            measured = PARTS[part](peers, device, rounds, seconds)
        provenance = {
            "command": f"python figures/speed/measure.py --only {part}",
            "rounds": rounds,
            "seconds_a_run": seconds,
            "load": load,
            "versions": versions(peers) | {"torch": torch.__version__, "python": platform.python_version()},
            "commit": commit(),
        }
        result[part] = provenance | measured
        if arguments.quick:
            print(json.dumps(result[part], indent=1))
        else:
            file.write_text(json.dumps(result, indent=1) + "\n")
    if not arguments.quick:
        page.write()
