"""Run notebooks and store their outputs, without anything that changes from run to run.

    python lessons/execute.py lessons/00_draw_something.ipynb ...     without names: all lessons and solutions

A live widget needs a kernel, so we keep only its picture. Ids, times and versions are removed, and pictures are stored
in fewer bytes. The kernel works in an empty folder, so that a lesson shows the gallery of a student who has just begun.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def lighter(png: str) -> str:
    """The same picture on white, in 256 colours if no plain area moves by more than 4 levels, and no pixel by 24."""
    old = base64.b64decode(png)
    image = Image.open(io.BytesIO(old)).convert("RGBA")
    rgb = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    # without the second pass (kmeans), light greys come out pink or blue
    few = rgb.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    moved = np.abs(np.asarray(few.convert("RGB"), dtype=int) - np.asarray(rgb)).max(2).flatten()
    _, colour, count = np.unique(np.asarray(rgb).reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    plain = moved[count[colour.flatten()] > len(moved) / 1000]
    faithful = moved.max() <= 24 and plain.max(initial=0) <= 4
    (few if faithful else rgb).save(new := io.BytesIO(), "png", optimize=True)
    return base64.b64encode(min(old, new.getvalue(), key=len)).decode()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep sources, outputs and tags, remove everything else, and make the pictures lighter."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = lighter(output.data["image/png"])
            output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
    return notebook


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=None, resources={"metadata": {"path": folder}}).execute()
    nbformat.write(clean(notebook), path)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or sorted(HERE.glob("*.ipynb")) + sorted(HERE.glob("solutions/*.ipynb"))):
        print(path)
        execute(path)
