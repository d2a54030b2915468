"""The systems that come with the package, loaded when they are first needed."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Any

from safetensors import safe_open

from .. import shipped
from ..shipped import PARTS

LOADERS = {"stable_diffusion": shipped.stable_diffusion, "dalle2": shipped.dalle2}


class Shipped(dict[str, Any]):
    """Systems by name: `Shipped()["dalle2"]` loads DALL-E 2 the first time."""

    def __missing__(self, name: str) -> Any:
        for part in PARTS[name]:
            checksum(part)  # which says in plain words if one is missing
        self[name] = LOADERS[name]()
        return self[name]

    def weights(self) -> dict[str, str]:
        """The checksums of the files that were loaded, by part, from their headers."""
        return {part: checksum(part) for name in self for part in PARTS[name]}


def checksum(part: str) -> str:
    """The sha256 in the header of a trained part. FileNotFoundError if it does not come with this installation."""
    with as_file(files("minidiffusion") / "weights" / f"{part}.safetensors") as path:
        if not path.is_file():
            raise FileNotFoundError(f"this installation has no {path.name}, which the pictures need")
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["minidiffusion"])["sha256"]
