"""Write the tables of judged scores into README.md in this folder, from the JSON files of quality.py and parts.py.

python figures/systems/table.py
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = {"train": "seen", "unseen_tone": "unseen tone", "unseen_style": "unseen style"}
COLUMNS = {
    "drawn": "judged right",
    "standard_error": "standard error",
    "real": "real pictures",
    "share_of_real": "share",
    "shuffled": "shuffled",
    "chance": "chance",
    "frechet": "Frechet",
    "frechet_floor": "its floor",
    "copies": "copies",
}


def read(name: str) -> dict[str, Any]:
    return json.loads((HERE / f"{name}.json").read_text())


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |\n" for cells in (columns, *rows)]
    return "".join([lines[0], "|---" * len(columns) + "|\n", *lines[1:]])


def quality() -> str:
    rows = []
    for system, title in (("stable_diffusion", "Stable Diffusion"), ("dalle2", "DALL-E 2")):
        found = read(system)
        for split, name in NAMES.items():
            one = found[split]
            rows.append([title, f"{one['count']} {name}", *(f"{one[key]:.3f}" for key in COLUMNS)])
    return table(["system", "prompts", *COLUMNS.values()], rows)


def parts() -> str:
    found = read("parts")
    rows = [[name, f"{one['drawn']:.3f}", f"{one['standard_error']:.3f}"] for name, one in found["top1"].items()]
    return table([f"{found['count']} seen prompts", "judged right", "standard error"], rows)


if __name__ == "__main__":
    page = HERE / "README.md"
    text = page.read_text()
    for name, new in (("quality", quality()), ("parts", parts())):
        before, rest = text.split(f"<!-- {name} -->\n")
        text = f"{before}<!-- {name} -->\n{new}{rest[rest.index('<!-- end -->') :]}"
    page.write_text(text)
