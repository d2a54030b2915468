"""Write the table of judged scores into README.md in this folder, from the JSON files of quality.py.

python figures/systems/table.py
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
NAMES = {"train": "seen", "unseen_tone": "unseen tone", "unseen_style": "unseen style"}


def table() -> str:
    rows = [
        "| system | prompts | the judge finds the prompt | standard error | real pictures | share of real | shuffled | chance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for system, title in (("stable_diffusion", "Stable Diffusion"), ("dalle2", "DALL-E 2")):
        found = json.loads((HERE / f"{system}.json").read_text())
        for split, name in NAMES.items():
            one = found[split]
            rows.append(
                f"| {title} | {name}, {one['count']} | {one['drawn']:.2f} | {one['standard_error']:.2f} | {one['real']:.2f} "
                f"| {one['share_of_real']:.2f} | {one['shuffled']:.3f} | {one['chance']:.3f} |"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    page = HERE / "README.md"
    parts = re.split(r"(<!-- table -->\n|<!-- end -->)", page.read_text())
    parts[2] = table() + "\n"
    page.write_text("".join(parts))
