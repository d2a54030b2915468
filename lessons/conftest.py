"""How nbval compares the outputs of a lesson with the stored ones: words exactly, numbers to within a tenth.

The last digits of a trained network differ between machines, and so does rounding. Verdicts are words, so they must
agree. We do not compare stderr, where libraries print messages about the machine.
"""

import math
import os
import re

from nbval.plugin import IPyNbCell

# one thread for each worker: two workers with two threads each would wait for one another on two cores
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
TENTH = 0.095  # of the larger number: 1.1 may stand for 1.0, but 9 may not stand for 10


class Output(str):
    """A text that equals any text with the same words and nearly the same numbers, whatever the white space."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return False
        mine, its = NUMBER.split(self), NUMBER.split(other)
        return (
            len(mine) == len(its)
            and all(a.split() == b.split() for a, b in zip(mine[::2], its[::2], strict=True))
            and all(math.isclose(float(a), float(b), rel_tol=TENTH) for a, b in zip(mine[1::2], its[1::2], strict=True))
        )

    def __ne__(self, other: object) -> bool:
        return not self == other


def pytest_ignore_collect(collection_path, config):
    """Leave the solutions to `pytest -m slow`: a quick test grades them, so their answers are checked all the same."""
    if collection_path.parent.name == "solutions" and config.option.markexpr.startswith("not slow"):
        return True


def pytest_collectstart(collector):
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)


def pytest_itemcollected(item):
    if isinstance(item, IPyNbCell):
        cleaned = item.sanitize
        item.sanitize = lambda text: Output(cleaned(text)) if isinstance(text, str) else text
