"""Write the table of judged scores into README.md in this folder, from the JSON files of quality.py.

python figures/systems/table.py
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
NAMES = {"train": "seen", "unseen_tone": "unseen tone", "unseen_style": "unseen style"}


COLUMNS = ("system", "prompts", "judged right", "standard error", "real pictures", "share", "shuffled", "chance")


def table() -> str:
    rows = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for system, title in (("stable_diffusion", "Stable Diffusion"), ("dalle2", "DALL-E 2")):
        found = json.loads((HERE / f"{system}.json").read_text())
        for split, name in NAMES.items():
            one = found[split]
            numbers = [one[key] for key in ("drawn", "standard_error", "real", "share_of_real", "shuffled", "chance")]
            cells = [title, f"{one['count']} {name}", *(f"{number:.3f}" for number in numbers)]
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    page = HERE / "README.md"
    parts = re.split(r"(<!-- table -->\n|<!-- end -->)", page.read_text())
    parts[2] = table() + "\n"
    page.write_text("".join(parts))
