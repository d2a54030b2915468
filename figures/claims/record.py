"""Run an experiment at full scale and keep its results.json beside it, and picture.png and verdicts.png here.

python figures/claims/record.py e04_steps          one experiment, five seeds
python figures/claims/record.py                    all of them
"""

import argparse
import json
from pathlib import Path

import torch
from tqdm import tqdm

from minidiffusion import plots
from minidiffusion.course import ledger

HERE, SEEDS = Path(__file__).parent, range(5)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.parent.name for path in ledger.FOLDER.glob("*/experiment.py"))
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(names))
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for name in arguments.experiments or names:
        *_, results = tqdm(ledger.measure(name, "full", SEEDS, torch.device("cpu")), name, len(SEEDS))
        (ledger.FOLDER / name / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        ledger.load(name).plot(results["runs"]).savefig(HERE / name / "picture.png", dpi=120)
    plots.verdicts(ledger.ledger()).savefig(HERE / "verdicts.png", dpi=120)
