"""Measure the speed of this package and of other projects, all in one process and by turns.

    python figures/speed/measure.py                         everything but growth and quality; half an hour
    python figures/speed/measure.py --only training
    python figures/speed/measure.py --quick                 a few seconds for each part, to see whether it runs

Install the extra `bench` first; projects that are not installed are skipped. The numbers go into one JSON file for each
machine, named after its processor, and then the figure and the page (README.md) are made from all the files in this
folder. With --quick, nothing is written.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars take time
sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import growth
import limits
import networks
import overhead
import page
import startup
from common import VERSIONS, Parser
from peers import installed, versions
from protocol import commit, machine, watch_others

from minidiffusion.training.device import as_device

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
    parser = Parser(__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; may be given several times")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="how long one run takes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="only see whether everything runs")
    arguments = parser.parse()
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
            "versions": versions(peers) | VERSIONS,
            "commit": commit(),
        }
        result[part] = provenance | measured
        if arguments.quick:
            print(json.dumps(result[part], indent=1))
        else:
            file.write_text(json.dumps(result, indent=1) + "\n")
    if not arguments.quick:
        page.write()
