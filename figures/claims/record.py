"""Run experiments at full scale: their results.json goes beside the experiment, their pictures go here.

python figures/claims/record.py e04_steps               one experiment, ten new seeds
python figures/claims/record.py                         all of them
python figures/claims/record.py e25_rare_modes --seeds 20

Experiments with many arms, such as e18_unets, have a queue: see trials.py.
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from tqdm import tqdm

from minidiffusion.course import ledger

HERE, FIRST_SEED = Path(__file__).parent, 1000  # nothing was tuned on these seeds

if __name__ == "__main__":
    parser = Parser(__doc__)
    names = sorted(path.parent.name for path in ledger.FOLDER.glob("*/experiment.py"))
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=10, help="how many; default: 10")
    arguments = parser.parse()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    for name in arguments.experiments or names:
        *_, results = tqdm(ledger.measure(name, "full", seeds, torch.device("cpu")), name, len(seeds))
        (ledger.FOLDER / name / "results.json").write_text(json.dumps(results) + "\n")
        ledger.load(name).plot(results["runs"]).savefig(HERE / name / "picture.png", dpi=120)
