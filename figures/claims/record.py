"""Run an experiment at full scale and keep results.json and picture.png in its folder, and verdicts.png in this one.

python figures/claims/record.py e04_steps          one experiment, five seeds
python figures/claims/record.py                    all of them
"""

import argparse
import json

import torch
from tqdm import tqdm

from minidiffusion import ledger, plots

SEEDS = range(5)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.parent.name for path in ledger.folder().glob("*/experiment.py"))
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(names))
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for name in arguments.experiments or names:
        *_, results = tqdm(ledger.measure(name, "full", SEEDS, torch.device("cpu")), name, len(SEEDS))
        (ledger.folder() / name / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        ledger.load(name).plot(results["runs"]).savefig(ledger.folder() / name / "picture.png", dpi=120)
    plots.verdicts(ledger.ledger()).savefig(ledger.folder() / "verdicts.png", dpi=120)
