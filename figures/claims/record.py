"""Run experiments at full scale: their results.json goes beside the experiment, their pictures go here.

python figures/claims/record.py e04_steps          one experiment, five seeds
python figures/claims/record.py                    all of them
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from tqdm import tqdm

from minidiffusion import plots
from minidiffusion.course import ledger

HERE, SEEDS = Path(__file__).parent, range(5)

if __name__ == "__main__":
    parser = Parser(__doc__)
    names = sorted(path.parent.name for path in ledger.FOLDER.glob("*/experiment.py"))
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(names))
    arguments = parser.parse()
    for name in arguments.experiments or names:
        *_, results = tqdm(ledger.measure(name, "full", SEEDS, torch.device("cpu")), name, len(SEEDS))
        (ledger.FOLDER / name / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        ledger.load(name).plot(results["runs"]).savefig(HERE / name / "picture.png", dpi=120)
    plots.verdicts(ledger.ledger()).savefig(HERE / "verdicts.png", dpi=120)
