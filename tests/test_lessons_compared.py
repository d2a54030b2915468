"""How nbval compares the lessons: two machines pass, a changed verdict or a wrong number does not."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

LESSONS = Path(__file__).parent.parent / "lessons"
spec = importlib.util.spec_from_file_location("lessons_conftest", LESSONS / "conftest.py")
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)

STORED = "x0 is better: PASS (ratio 0.96 < 3)\n  output x0: 0.005\n       free: 1.0\nmodes: 10 of 10\n"


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("0.96", "0.97"),
        ("0.005", "0.0051"),  # one that rounds to fewer digits
        ("  output x0: 0.005", " output x0: 0.0051"),  # and moves what is aligned
        ("1.0", "1.1"),
        ("0.005", "5.1e-03"),
    ],
)
def test_the_last_digit_may_differ(here, there):
    changed = STORED.replace(here, there)
    assert changed != STORED and conftest.Output(STORED) == conftest.Output(changed)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("PASS", "FAIL"),
        ("0.96", "1.1"),
        ("0.96", "-0.96"),
        ("0.005", "0.005e1"),
        ("modes: 10", "modes: 9"),
        ("output x0", "output x1"),
        ("output x0", "output v"),
        ("modes: 10 of 10\n", ""),
        ("of 10\n", "of 10\n7"),
        ("0.96", "nan"),
    ],
)
def test_anything_else_may_not(here, there):
    changed = STORED.replace(here, there)
    assert changed != STORED and conftest.Output(STORED) != conftest.Output(changed)


def test_nbval_asks_it(tmp_path):
    """Two notebooks, of which each computes one number and has another stored."""
    shutil.copy(LESSONS / "conftest.py", tmp_path)
    for name, stored in (("near", "0.97"), ("far", "1.2")):
        printed = nbformat.v4.new_output("stream", name="stdout", text=f"ratio {stored}\n")
        cell = nbformat.v4.new_code_cell("print('ratio 0.96')", outputs=[printed], execution_count=1)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    words = ("-m", "pytest", "--nbval", "--nbval-current-env", "-q", "-rA", "-c", "/dev/null", "--rootdir", ".", ".")
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
    assert "PASSED near.ipynb::Cell 0" in done.stdout, done.stdout
    assert "FAILED far.ipynb::Cell 0" in done.stdout, done.stdout
