"""Grading: what a student's copy can do to itself, to Python and to the checks, and that the verdict stands.

Copies are made from the committed lessons. Cheats and failures share a copy, one an exercise, where they can.
"""

import builtins
import importlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
import torch

from minidiffusion.cli import main
from minidiffusion.course import exercises, grading
from minidiffusion.course.exercises.lesson_05 import _Guesser as Guesser
from minidiffusion.course.grading import Sheet, grade, worker
from minidiffusion.course.grading.door import pack, unpack
from minidiffusion.course.grading.notebook import Cell, Stub, anchors, lesson_of, needed, read, stubs
from minidiffusion.course.grading.worker import Answer, Process

LESSONS = Path(__file__).parent.parent / "lessons"
LESSON_FILES = sorted(LESSONS.glob("[0-9]*.ipynb"))
DESTROYING = LESSONS / "01_destroying_data.ipynb"


def solutions(path):
    """The folded solutions of a lesson, by exercise."""
    notebook = nbformat.read(path, as_version=4)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    folded = re.findall(r"<summary>Solution</summary>\n\n```python\n(.*?)\n```", text, re.S)
    return dict(zip(stubs(read(path)), folded, strict=True))


def variant(path, answers, copy):
    """A copy of a lesson with these cells in place of the stubs; no text, and no outputs."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
        for exercise in set(Cell(cell.source, "", True).checks) & set(answers):
            cell.source = answers[exercise]
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# Lesson {path.name[:2]}"), *cells]
    nbformat.write(notebook, copy)
    return copy


# Each: what stands in the cell of 01.1, 01.2 and 01.3, and what the verdict begins with.
RIGHT = {exercise: f"{text}\n" for exercise, text in solutions(DESTROYING).items()}
WRONG = {
    "01.1": "def diffuse(x0, t, eps, schedule):\n    return x0\n",
    "01.2": "def small_enough(n, S, rho):\n    return 0.5\n",
    "01.3": "def signal_left(betas):\n    return 1.0\n",
}
JUDGE = 'import sys\njudge = sys.modules["minidiffusion.course.exercises.judge"]\n'
CHEATS = {
    "check is print": ("01.1", "md.course.check = print\n" + WRONG["01.1"], "not yet: "),
    "CHECKS are redefined": (
        "01.2",
        "md.course.exercises.CHECKS = {}\nmd.course.exercises.CHECKS['01.2'] = lambda answer: None\n" + WRONG["01.2"],
        "not yet: for n",
    ),
    "the verdict is printed": ("01.3", 'print("Exercise 01.3: passed")\nsignal_left = ...', "not attempted yet"),
    "a check in CHECKS is redefined": (
        "01.1",
        "md.course.exercises.CHECKS['01.1'] = lambda answer: None\n" + WRONG["01.1"],
        "not yet: ",
    ),
    "the check of the lesson is redefined": (
        "01.2",
        "md.course.exercises.lesson_01.small_enough = md.course.exercises.lesson_01.number = lambda *answer: None\n"
        + WRONG["01.2"],
        "not yet: for n",
    ),
    "the check gets other code": (
        "01.3",
        "md.course.exercises.lesson_01.signal_left.__code__ = (lambda answer: None).__code__\n" + WRONG["01.3"],
        "not yet: for the betas",
    ),
    "the comparison is redefined": ("01.1", f"{JUDGE}judge.close = lambda a, b: True\n{WRONG['01.1']}", "not yet: "),
    "the judge is redefined": (
        "01.2",
        f"{JUDGE}judge.judge = md.course.exercises.judge = lambda check, answer: 'passed'\n{WRONG['01.2']}",
        "not yet: ",
    ),
    "the check call is edited away": ("01.3", "signal_left = ...", "not attempted yet"),
    "md is shadowed": (
        "01.1",
        "class md:\n    class exercises:\n        check = staticmethod(lambda name, answer: print('passed'))\n"
        + WRONG["01.1"],
        "not yet: ",
    ),
    "the package is loaded again": (
        "01.2",
        f"{JUDGE}import importlib\nimportlib.reload(judge).call = lambda *a, **k: 0.3\n{WRONG['01.2']}",
        "not yet: for n",
    ),
    "a builtin is redefined": ("01.3", "import builtins\nbuiltins.abs = lambda x: 0\n" + WRONG["01.3"], "not yet: for"),
    "PyTorch is redefined": (
        "01.1",
        "torch.allclose = torch.Tensor.__eq__ = lambda *a, **k: True\n" + WRONG["01.1"],
        "not yet: ",
    ),
    "a builtin is hidden": (
        "01.2",
        "import sys\nsys.modules['minidiffusion.course.exercises.lesson_01'].abs = lambda x: 0\n" + WRONG["01.2"],
        "not yet: for n",
    ),
    "the answer redefines PyTorch": (
        "01.3",
        "def signal_left(betas):\n    torch.Tensor.item = lambda self: 1.0\n    return 1.0",
        "not yet: for the betas",
    ),
    "the answer is equal to everything": (
        "01.1",
        "class Same(torch.Tensor):\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, function, types, args=(), kwargs=None):\n"
        "        return function is torch.allclose or super().__torch_function__(function, types, args, kwargs)\n"
        "def diffuse(x0, t, eps, schedule):\n    return x0.as_subclass(Same)",
        "not yet: ",
    ),
    "sys.exit in the answer": ("01.2", "import sys\ndef small_enough(n, S, rho):\n    sys.exit(0)", "not yet: "),
    "another name is handed in": (
        "01.3",
        'def mine(betas):\n    return (1 - betas).prod().sqrt()\nsignal_left = ...\nmd.course.check("01.3", mine)',
        "not attempted yet",
    ),
    # what would reach a judge in the same process
    "the globals of check are redefined": (
        "01.1",
        "md.course.exercises.check.__globals__['judge'] = lambda *answer: 'passed'\n" + WRONG["01.1"],
        "not yet: on cosine",
    ),
    "the grader's object is found and redefined": (
        "01.2",
        "import gc\nfor one in gc.get_objects():\n    if type(one).__name__ == 'Student':\n"
        "        one.find = lambda expression: {'value': {'make': ['os', 'abort', []]}}\n",
        "not yet: the check stops: ValueError: a make is not a plain value",
    ),
    "a thread writes into all pipes": (
        "01.3",
        "import contextlib, os, threading, time\ndef write():\n    while True:\n        for pipe in range(3, 40):\n"
        "            with contextlib.suppress(OSError):\n"
        '                os.write(pipe, b\'{"find": {"value": "passed"}, "call": "passed", "run": ""}\\n\')\n'
        "        time.sleep(0.01)\nthreading.Thread(target=write, daemon=True).start()\n" + WRONG["01.3"],
        "not yet: ",
    ),
    "__torch_dispatch__ says that all is equal": (
        "01.1",
        "class Same(torch.Tensor):\n    @staticmethod\n    def __new__(cls, x):\n"
        "        return torch.Tensor._make_wrapper_subclass(cls, x.shape, dtype=x.dtype)\n"
        "    def __init__(self, x):\n        self.x = x\n    @classmethod\n"
        "    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):\n"
        "        plain = [one.x if isinstance(one, cls) else one for one in args]\n"
        "        return 'close' in str(function) or function(*plain, **(kwargs or {}))\n"
        "def diffuse(x0, t, eps, schedule):\n    return Same(x0)",
        "not yet: on cosine",
    ),
    "a dispatch mode says that all is equal": (
        "01.2",
        "from torch.utils._python_dispatch import TorchDispatchMode\nclass Mode(TorchDispatchMode):\n"
        "    def __torch_dispatch__(self, function, types, args=(), kwargs=None):\n"
        "        return 'close' in str(function) or function(*args, **(kwargs or {}))\n"
        "Mode().__enter__()\n" + WRONG["01.2"],
        "not yet: for n",
    ),
    "torch.library says that all is equal": (
        "01.3",
        'library = torch.library.Library("aten", "IMPL")\n'
        'library.impl("allclose", lambda *args, **kwargs: True, "CompositeImplicitAutograd")\n' + WRONG["01.3"],
        "not yet: for the betas",
    ),
    "other modules in sys.modules": (
        "01.1",
        "import sys, types\nfor name in [name for name in sys.modules if 'course' in name]:\n"
        "    sys.modules[name] = types.SimpleNamespace(judge=lambda *answer: 'passed', pack=lambda *value: 'passed')\n"
        + WRONG["01.1"],
        "not yet: on cosine",
    ),
    "a float that is equal to all": (
        "01.2",
        "class Same(float):\n    def __abs__(self):\n        return 0.0\n"
        "    __sub__ = __rsub__ = lambda self, other: self\n    __eq__ = __lt__ = lambda self, other: True\n"
        "def small_enough(n, S, rho):\n    return Same(0.5)",
        "not yet: for n",
    ),
    "a number that no float holds": (
        "01.3",
        "def signal_left(betas):\n    return 10**4000",
        "not yet: alpha(1) must be",
    ),
    "it writes into the package": (
        "01.1",
        "open(md.process.__file__, 'a').write('raise SystemExit')\n" + WRONG["01.1"],
        "not yet: on cosine",
    ),
    "a forged .pyc": (
        "01.2",
        "import importlib.util, py_compile\nfrom pathlib import Path\nPath('forged.py').write_text('CHECKS = {}')\n"
        "place = importlib.util.cache_from_source(md.course.exercises.lesson_01.__file__)\n"
        "mode = py_compile.PycInvalidationMode.UNCHECKED_HASH\n"
        "py_compile.compile('forged.py', place, invalidation_mode=mode)\n" + WRONG["01.2"],
        "not yet: for n",
    ),
    "a hundred thousand minus signs": ("01.3", "-" * 100_000, "not yet: its cell stops: "),
    # from here on, failures that must not stop it
    "sys.exit in the cell": ("01.1", RIGHT["01.1"] + "import sys\nsys.exit(0)", "passed"),
    "exit in the cell": ("01.2", RIGHT["01.2"] + "exit()", "passed"),
    "the cell crashes": ("01.3", "1 / 0\n" + RIGHT["01.3"], "not yet: its cell stops: ZeroDivisionError"),
    "huge output": ("01.1", RIGHT["01.1"] + "for i in range(200):\n    print('x' * 10**6)", "passed"),
    "a question to the reader": ("01.2", RIGHT["01.2"] + "input('How are you?')", "passed"),
    "no Python at all": ("01.3", "def signal_left(betas)\n    return betas", "not yet: its cell stops: SyntaxError"),
    "a fork": ("01.1", "import os\nos.fork()\n" + RIGHT["01.1"], "passed"),
    "the check call is gone from a right answer": ("01.2", RIGHT["01.2"], "passed"),
    "a tensor of no one's type": ("01.3", "signal_left = torch.zeros(3)", "not yet: hand in the function"),
    # and those that end the process, after which another takes over
    "os._exit in the cell": ("01.1", "import os\nos._exit(0)", "not yet: its cell stops: ended Python"),
    "an endless loop in the answer": (
        "01.2",
        "def small_enough(n, S, rho):\n    while True:\n        try:\n            pass\n        except BaseException:\n"
        "            pass",
        "not yet: asked for an answer, it ran longer than",
    ),
    "an answer after them": ("01.3", RIGHT["01.3"], "passed"),
    "an endless loop in the cell": ("01.1", "while True:\n    pass", "not yet: its cell stops: ran longer than"),
    "os._exit in the answer": (
        "01.2",
        "import os\ndef small_enough(n, S, rho):\n    os._exit(0)",
        "not yet: asked for an answer, it ended Python",
    ),
    "words in the grader's pipe": (
        "01.3",
        "import contextlib, os\nfor pipe in range(3, 40):\n    with contextlib.suppress(OSError):\n"
        '        os.write(pipe, b\'{"find": {"function": true}}\\n\')\n',
        "not yet: its cell stops: wrote where only",
    ),
}
NAMES = list(CHEATS)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Of a group of three, on first demand. A slow or busy machine gets more time."""
    found, start = {}, time.monotonic()
    with Process(tmp_path_factory.mktemp("start")):
        seconds = max(4.0, time.monotonic() - start)

    def of(name):
        if name not in found:
            group = NAMES[3 * (NAMES.index(name) // 3) :][:3]
            answers = {CHEATS[one][0]: CHEATS[one][1] for one in group}
            copy = variant(DESTROYING, answers, tmp_path_factory.mktemp("copy") / "copy.ipynb")
            graded = grade(copy, LESSONS, seconds)
            by_exercise = {one["exercise"]: one for one in graded["exercises"]}
            found.update({one: (by_exercise[CHEATS[one][0]], graded) for one in group})
        return found[name]

    return of


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_fools_it_not_and_a_failure_stops_it_not(name, verdicts):
    verdict, _ = verdicts(name)
    said = verdict["verdict"] + (": " + verdict["why"] if verdict["why"] else "")
    assert said.startswith(CHEATS[name][2]), said


def test_errors_name_their_cells(verdicts):
    _, graded = verdicts("the cell crashes")
    code = [cell for cell in read(DESTROYING) if cell.code]
    number = {exercise: 1 + place for exercise, place in anchors(code, stubs(code)).items()}
    errors = {one["cell"]: one["error"] for one in graded["errors"]}
    assert errors[number["01.3"]].startswith("ZeroDivisionError") and errors[number["01.1"]].startswith("SystemExit")
    assert [one["cell"] for one in graded["exercises"]] == list(number.values())


def test_nothing_here_was_touched():
    """The copies ran elsewhere."""
    assert exercises.CHECKS["01.1"] is exercises.lesson_01.diffuse and builtins.abs(-1) == 1
    assert not torch.allclose(torch.zeros(1), torch.ones(1))


# what a copy takes and leaves behind


def graded_alone(answers, tmp_path):
    return grade(variant(DESTROYING, answers, tmp_path / "copy.ipynb"), LESSONS, seconds=60.0)


def test_a_copy_that_fills_the_memory_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "MEMORY", 2**31)
    hog = "def small_enough(n, S, rho):\n    return [torch.ones(2**24) for i in range(1000)]"
    graded = graded_alone({"01.1": RIGHT["01.1"], "01.2": hog, "01.3": RIGHT["01.3"]}, tmp_path)
    assert [one["verdict"] for one in graded["exercises"]] == ["passed", "not yet", "passed"]
    assert graded["exercises"][1]["why"] == "asked for an answer, it used more than 2 GB of memory."


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nobody adopts the orphans")
def test_nothing_outlives_a_grading(tmp_path):
    start = (
        "import subprocess\nfor i in range(50):\n    subprocess.Popen(['sh', '-c', '(setsid sleep 4321 &)'], env={})\n"
    )
    graded = graded_alone({"01.1": start + RIGHT["01.1"], "01.2": RIGHT["01.2"], "01.3": RIGHT["01.3"]}, tmp_path)
    assert graded["passed"] == 3
    assert not [one for one in psutil.process_iter(["cmdline"]) if "4321" in (one.info["cmdline"] or [])]


def test_a_change_of_the_installed_package_is_undone(tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    for name in ("process.py", "gone.py", "__pycache__/process.pyc"):
        (package / name).write_text("before")
    monkeypatch.setattr(grading, "PACKAGE", package)
    before = grading.contents()
    (package / "gone.py").unlink()
    for name in ("process.py", "new.py", "__pycache__/process.pyc", "__pycache__/new.pyc"):
        (package / name).write_text("forged")
    (tmp_path / "pyproject.toml").touch()  # in a checkout, only what is compiled is put back
    names = ["package/gone.py", "package/new.py", "package/process.py"]
    assert grading.put_back(before) == names and (package / "process.py").read_text() == "forged"
    (tmp_path / "pyproject.toml").unlink()
    assert grading.put_back(before) == names and grading.contents() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for a right to make links")
def test_a_package_that_was_installed_as_a_link_is_not_taken_for_a_forged_one(tmp_path):
    (tmp_path / "minidiffusion").symlink_to(grading.PACKAGE)
    code = "from minidiffusion.course import grading; print(grading.PACKAGE, len(grading.contents()) > 100)"
    own = os.environ | {"PYTHONPATH": str(tmp_path)}
    out = subprocess.run([sys.executable, "-c", code], env=own, cwd=tmp_path, capture_output=True, text=True).stdout
    assert out == f"{grading.PACKAGE} True\n"


def a_pipe(package):
    os.mkfifo(package / "x.fifo")


def a_link_to_nowhere(package):
    (package / "link.py").symlink_to(package / "nowhere")


def a_folder_in_place_of_a_file(package):
    (package / "heads.py").unlink()
    (package / "heads.py").mkdir()
    (package / "heads.py" / "y").write_text("forged")


def a_file_in_place_of_a_folder(package):
    shutil.rmtree(package / "nets")
    (package / "nets").write_text("forged")


def a_link_in_place_of_a_folder(package):
    shutil.rmtree(package / "nets")
    (package.parent / "elsewhere").mkdir()
    (package / "nets").symlink_to(package.parent / "elsewhere")


def a_file_of_a_terabyte(package):
    with open(package / "large", "wb") as file:
        file.truncate(10**12)


def a_link_in_place_of_the_package(package):
    package.rename(package.with_name("moved"))
    package.symlink_to(package.with_name("moved"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
@pytest.mark.parametrize(
    "trick",
    [
        a_pipe,
        a_link_to_nowhere,
        a_folder_in_place_of_a_file,
        a_file_in_place_of_a_folder,
        a_link_in_place_of_a_folder,
        a_file_of_a_terabyte,
        a_link_in_place_of_the_package,
    ],
)
def test_whatever_takes_the_place_of_a_file_it_is_put_back(trick, tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "nets").mkdir(parents=True)
    for name in ("heads.py", "nets/unet.py", "zzz.py"):
        (package / name).write_text("before")
    monkeypatch.setattr(grading, "PACKAGE", package)
    before = grading.contents()
    trick(package)
    (package / "zzz.py").write_text("forged")
    assert "package/zzz.py" in grading.put_back(before)
    assert grading.contents() == before and (package / "nets").is_dir()
    assert not package.is_symlink() and not (package / "nets").is_symlink()
    assert not list((tmp_path / "elsewhere").glob("*"))  # and nothing was written where a link led


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="the administrator may read every file")
def test_a_file_that_nobody_may_read_is_removed_and_not_copied(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("before")
    monkeypatch.setattr(grading, "PACKAGE", package)
    before = grading.contents()
    (package / "secret.py").touch(mode=0)
    shutil.copytree(package, tmp_path / "copy", ignore=worker.odd)
    assert grading.put_back(before) == ["package/secret.py"] and grading.contents() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
def test_a_copy_of_the_package_leaves_pipes_and_links_to_nowhere_out(tmp_path):
    (tmp_path / "a.py").touch()
    a_pipe(tmp_path)
    a_link_to_nowhere(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=worker.odd)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["a.py"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows allows no paths as long as that")
def test_a_thousand_folders_in_one_another_stop_neither_the_putting_back_nor_the_next_copy(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    (package / "zzz.py").write_text("before")
    monkeypatch.setattr(grading, "PACKAGE", package)
    before, deepest = grading.contents(), package
    for _ in range(1100):
        deepest = deepest / "a"
        deepest.mkdir()
    (deepest / "new.py").touch()
    (package / "zzz.py").write_text("forged")
    try:
        grading.put_back(before)
        assert grading.contents() == before
        shutil.copytree(package, tmp_path / "copy", ignore=worker.odd)
        assert (tmp_path / "copy" / "zzz.py").read_text() == "before"
    finally:  # nothing else can remove them
        (deepest / "new.py").unlink(missing_ok=True)
        while deepest != package:
            deepest.rmdir()
            deepest = deepest.parent


LOOP = "import os\nopen({!r}, 'w').write(str(os.getpid()))\nwhile True:\n    pass\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("inside", [False, True])
def test_a_grader_that_is_stopped_stops_the_copy_and_leaves_no_folder(inside, tmp_path):
    there = tmp_path / "there"
    loop, (head, *_) = LOOP.format(str(there)), RIGHT["01.1"].splitlines()
    answer = f"{head}\n{textwrap.indent(loop, '    ')}" if inside else loop
    copy = variant(DESTROYING, RIGHT | {"01.1": answer}, tmp_path / "copy.ipynb")
    (tmp_path / "tmp").mkdir()
    own = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(grading.PACKAGE.parent)}
    words = [sys.executable, "-m", "minidiffusion", "grade", str(copy)]
    grader = subprocess.Popen(words, env=own, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while grader.poll() is None and not (there.exists() and there.read_text()):
        time.sleep(0.1)
    grader.terminate()
    out, err = grader.communicate(timeout=300)
    assert (grader.returncode, out, err) == (130, "", "minidiffusion: stopped\n")
    assert not psutil.pid_exists(int(there.read_text())) and not list((tmp_path / "tmp").iterdir())


def test_what_passed_in_a_first_run_still_passes_when_the_time_of_the_second_is_over():
    passed, failed = ({"verdict": v, "why": w, "cell": 1} for v, w in (("passed", ""), ("not yet", "NameError: beta")))
    exercises = {"01.1": Stub("a", ""), "01.2": Stub("b", "")}
    sheet = Sheet([Cell("a = b = 1", "", True)], exercises, -1.0, True, {"01.1": passed, "01.2": failed})
    sheet.fill()
    assert sheet.verdicts == {"01.1": passed, "01.2": failed}


def test_a_helper_that_only_an_attribute_holds_is_found_in_the_end(tmp_path):
    head = "def signal_left(betas):\n"
    answer = RIGHT["01.3"].replace(head, head + "    import torch\n    torch.nn.seven_of_mine()\n")
    copy = variant(DESTROYING, RIGHT | {"01.3": answer}, tmp_path / "copy.ipynb")
    notebook = nbformat.read(copy, as_version=4)
    notebook.cells.insert(3, nbformat.v4.new_code_cell("import torch\ntorch.nn.seven_of_mine = lambda: 7"))
    nbformat.write(notebook, copy)
    assert [one["verdict"] for one in grade(copy, LESSONS)["exercises"]] == ["passed"] * 3


def test_cells_that_take_long_to_read_are_read_quickly(tmp_path):
    magics = "\n".join(["m = %pwd"] * 300 + [f"a{i} = {i}" for i in range(2000)])
    chain = "if x == 0:\n    y = 0\n" + "".join(f"elif x == {i}:\n    y = {i}\n" for i in range(3000))
    started = time.monotonic()
    assert not Cell(magics, "", True).names.binds and not Cell(chain, "", True).names.later
    for line in ("a?", "/f x", "a = ! ls", "a = % pwd"):
        assert not Cell(f"{line}\n" * 9000, "", True).names.binds
    assert Cell("\n" * 99_000 + "a = 1", "", True).names.binds == {"a"}
    assert Cell("m = %pwd\na = 7 % 5", "", True).names.binds == {"m", "a"}
    assert time.monotonic() - started < 20


def test_a_byte_order_mark_and_cells_without_ids_are_read_without_a_word(tmp_path, recwarn):
    text = json.loads(DESTROYING.read_text(encoding="utf-8"))
    for cell in text["cells"]:
        del cell["id"]
    (tmp_path / "copy.ipynb").write_text(json.dumps(text), encoding="utf-8-sig")
    assert len(read(tmp_path / "copy.ipynb")) == len(text["cells"]) and not list(recwarn)


def test_no_control_characters_and_no_endless_text_reach_the_report(tmp_path):
    loud = "ValueError('\\x1b[2J\\x07' + 'x' * 10**6)"
    answers = {
        "01.1": f"raise {loud}",
        "01.2": f"def small_enough(n, S, rho):\n    raise {loud}",
        "01.3": RIGHT["01.3"],
    }
    graded = graded_alone(answers, tmp_path)
    said = [*(one["why"] for one in graded["exercises"]), *(one["error"] for one in graded["errors"])]
    assert sum("ValueError: ?[2J?xxx" in text for text in said) == 3
    assert all(text.isprintable() and len(text) < 700 for text in said)


def test_a_word_that_is_equal_to_all_words_is_judged_by_its_letters(tmp_path):
    path = LESSONS / "22_the_verdict.ipynb"
    word = (
        "class Word(str):\n    __hash__ = None\n    __eq__ = lambda *words: True\n    __ne__ = lambda *words: False\n"
    )
    answers = solutions(path)
    answers["22.2"] = word + "def decide(low, high, least, most):\n    return Word('holds')"
    answers["22.3"] = word + "def verdict(decided):\n    return Word('open')"
    graded = grade(variant(path, answers, tmp_path / "copy.ipynb"), LESSONS, seconds=60.0)
    assert [one["verdict"] for one in graded["exercises"]] == ["passed", "not yet", "not yet"]


def test_only_plain_values_pass_the_door():
    values = [
        1.5,
        True,
        "x",
        None,
        ...,
        [1, (2, "y")],
        {"a": 1, 2: [3.5]},
        torch.arange(6.0).view(2, 3),
        torch.zeros(0, 2),
        torch.tensor(2),
    ]
    for value in values:
        there = unpack(json.loads(json.dumps(pack(value))))
        assert type(there) is type(value) and (torch.equal(there, value) if torch.is_tensor(value) else there == value)
    assert type(unpack(pack({1}))).__name__ == "set" and unpack(pack({1})) != {1}
    with pytest.raises(ValueError, match="not a plain value"):
        unpack({"make": ["os", "abort", []]})


def test_what_json_or_pytorch_cannot_take_arrives_as_its_name():
    quantized = torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.quint8)
    assert "quint8" in type(unpack(pack(quantized))).__name__
    assert "bits" in type(unpack(json.loads(json.dumps(pack(10**5000))))).__name__
    with pytest.raises(ValueError, match="unusual type"):
        unpack({"tensor": ["quint8", [1], "AA=="]})
    assert torch.equal(unpack(pack(np.arange(6.0)[::-2])), torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64))
    assert type(unpack(pack(np.array(["x"])))).__name__ == "ndarray"
    for value in (np.bool_(True), np.int64(3), np.float32(0.5)):
        assert type(unpack(pack(value))) is type(value.item()) and unpack(pack(value)) == value.item()


def test_the_end_of_one_process_leaves_the_next_one_alone(tmp_path):
    for i in range(3):
        with Process(tmp_path / str(i)) as process:
            time.sleep(0.3)  # the one before would have had time to stop what it takes for its own
            assert process.ask("find", "1 + 1") == {"value": 2}


def test_a_network_comes_back_with_its_weights_gradients_and_record(tmp_path):
    answer = variant(DESTROYING, {"01.1": "def signal_left(net):\n    return net"}, tmp_path / "copy.ipynb")
    assert answer.exists()
    code = (
        "import torch\ndef train(net, x):\n    net(x, 0.5).sum().backward()\n    net.weight.data += 1\n    return [0.5]"
    )
    with Process(tmp_path / "desk") as process:
        assert process.ask("run", code) == ""
        assert process.ask("find", "train") == {"function": True}
        net, x = Guesser(), torch.ones(4, 2)
        assert Answer(process)(net, x) == [0.5]
    assert torch.allclose(net.weight.detach(), torch.tensor([1.3, 1.1, 1.2]))
    assert torch.allclose(net.weight.grad, torch.tensor([4.0, 4.0, 8.0]))
    ((seen, time_seen, before),) = net.record
    assert torch.equal(seen, x) and time_seen == 0.5 and torch.allclose(before, torch.tensor([0.3, 0.1, 0.2]))


def test_a_notebook_whose_source_is_a_number_is_read(tmp_path):
    copy = variant(DESTROYING, RIGHT, tmp_path / "copy.ipynb")
    notebook = json.loads(copy.read_text())
    notebook["cells"][1]["source"] = 5
    copy.write_text(json.dumps(notebook))
    assert [cell.source for cell in read(copy)][1] == "5"


# variants of the lessons


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """One for all variants of the lessons: their texts are ours."""
    with Process(tmp_path_factory.mktemp("desk")) as process:
        yield process


def judged(process, path):
    """The verdicts as `grade` finds them, but in a process that is already there; and the cells that had to run."""
    cells = [cell for cell in read(path) if cell.code]
    sheet = Sheet(cells, stubs(read(LESSONS / path.name)), seconds=600.0, run_all=False)
    sheet.go_through(process, sheet.anchors)
    process.allow(600.0)
    process.ask("run", "import torch\ntorch.set_grad_enabled(True)  # a lesson may have switched it off\n%reset -f")
    process.allow(math.inf)
    assert not sheet.errors, sheet.errors
    return {exercise: found["verdict"] for exercise, found in sheet.verdicts.items()}


@pytest.mark.parametrize("path", LESSON_FILES, ids=lambda path: path.name)
def test_the_stubs_of_a_lesson_are_not_attempted(process, path):
    assert judged(process, path) == dict.fromkeys(stubs(read(path)), "not attempted yet")


@pytest.mark.parametrize("path", LESSON_FILES, ids=lambda path: path.name)
def test_the_solutions_of_a_lesson_pass(process, path, tmp_path):
    answers = {exercise: text + "\n" for exercise, text in solutions(path).items()}
    copy = variant(path, answers, tmp_path / path.name)
    assert judged(process, copy) == dict.fromkeys(answers, "passed")


@pytest.mark.parametrize("path", LESSON_FILES, ids=lambda path: path.name)
def test_a_wrong_answer_to_a_lesson_does_not_pass(process, path, tmp_path):
    wrong = {exercise: f"{stub.expression} = None" for exercise, stub in stubs(read(path)).items()}
    assert judged(process, variant(path, wrong, tmp_path / path.name)) == dict.fromkeys(wrong, "not yet")


def test_answers_with_usual_mistakes_are_told_what_is_wrong(tmp_path):
    path = LESSONS / "00_draw_something.ipynb"
    answers = solutions(path)
    answers["00.1"] = answers["00.1"].replace("schedule.sigma(s) * eps_hat", "schedule.sigma(t) * eps_hat")
    answers["00.2"] = "guess_between = [9, 9, 9, 9]"
    graded = grade(variant(path, answers, tmp_path / "copy.ipynb"), LESSONS, seconds=60.0)
    assert graded["lesson"] == "00" and graded["passed"] == 0 and graded["of"] == 3
    assert [one["verdict"] for one in graded["exercises"]] == ["not yet"] * 3  # the third calls the first
    assert "x is not what the step" in graded["exercises"][0]["why"]
    assert "hand in the function itself" in graded["exercises"][1]["why"]


# which cells run


def test_only_the_cells_that_answers_need_run():
    texts = {
        "import": "import torch",
        "heavy": "slow = torch.zeros(3)\nfor step in fit(slow, 3):\n    pass",
        "scale": "scale = 2",
        "changed": "table = {}\nfor i in range(3):\n    table[i] = scale",
        "more": "table[3] = scale",
        "drawn": "display(table)",
        "helper": "def helper(x):\n    return scale * x",
        "a": "def answer(x):\n    return helper(x) + table[3]",
        "later": "scale = 3",
        "b": "value = slow + 1",
        "last": "scale = 4",
    }
    cells = [Cell(text, name, True) for name, text in texts.items()]
    exercises_there = stubs([Cell('check("1.1", answer)', "a", True), Cell('md.course.check("1.2", value)', "b", True)])
    places = anchors(cells, exercises_there)
    assert places == {"1.1": 7, "1.2": 9}

    def names(*asked):
        found = needed(cells, {one: places[one] for one in asked}, exercises_there)
        return " ".join(list(texts)[number] for number in sorted(found))

    assert names("1.1") == "scale changed more helper a"
    assert names("1.2") == "import heavy b"


def test_a_name_that_is_bound_in_a_hidden_way_is_found_in_the_end(tmp_path):
    answers = {"01.2": "def small_enough(n, S, rho):\n    return hidden"}
    notebook = nbformat.read(variant(DESTROYING, answers, tmp_path / "copy.ipynb"), as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "small_enough" in cell.source or "check(" in cell.source]
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import torch\nimport minidiffusion as md"))
    notebook.cells.insert(1, nbformat.v4.new_code_cell('get_ipython().run_cell("hidden = 0.3")'))
    nbformat.write(notebook, tmp_path / "copy.ipynb")
    graded = grade(tmp_path / "copy.ipynb", LESSONS, seconds=60.0)
    assert graded["exercises"][1]["why"].startswith("for n = 12, S = 0.2 and rho = 0.9, your alpha(1) is 0.3")


@pytest.mark.parametrize("path", LESSON_FILES, ids=lambda path: path.name)
def test_a_lesson_is_known_by_its_checks_its_title_or_its_name(path, tmp_path):
    assert lesson_of(tmp_path / "x.ipynb", read(path), LESSONS) == (path.name[:2], path)
    assert lesson_of(tmp_path / "x.ipynb", read(LESSONS / "solutions" / path.name), LESSONS)[1] == path
    assert lesson_of(tmp_path / "x.ipynb", [cell for cell in read(path) if not cell.code], LESSONS)[1] == path
    assert lesson_of(tmp_path / path.name, [], LESSONS)[1] == path


# the command


def test_the_command_prints_the_verdicts_and_its_exit_code_tells(tmp_path, capsys):
    copy = variant(DESTROYING, RIGHT, tmp_path / "ada.ipynb")
    before = copy.read_bytes()
    assert main(["grade", str(copy), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["lesson"], found["passed"], found["of"], found["errors"]) == ("01", 3, 3, [])
    assert copy.read_bytes() == before and list(tmp_path.iterdir()) == [copy]


def test_the_table_has_a_line_for_each_exercise(tmp_path, capsys, monkeypatch):
    grading = importlib.import_module("minidiffusion.course.grading")
    found = {"notebook": "ada.ipynb", "lesson": "01", "passed": 1, "of": 2, "changed": ["minidiffusion/process.py"]}
    found["exercises"] = [
        {"exercise": "01.1", "verdict": "passed", "why": "", "cell": 20},
        {"exercise": "01.2", "verdict": "not yet", "why": "no.", "cell": 21},
    ]
    found["errors"] = [{"cell": 3, "error": "NameError: x"}]
    monkeypatch.setattr(grading, "grade", lambda *arguments: found)
    assert main(["grade", "ada.ipynb"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ada.ipynb: lesson 01, 1 of 2 exercises pass",
        "  01.1  passed",
        "  01.2  not yet: no.",
        "  code cell 3 stopped: NameError: x",
        "  changed in the installed package while the copy ran: minidiffusion/process.py",
    ]


@pytest.mark.parametrize(
    "words, expected",
    [
        ("nowhere.ipynb", ["NOTEBOOK", "'nowhere.ipynb'"]),
        ("text.ipynb", ["NOTEBOOK", "text.ipynb"]),
        (".", ["NOTEBOOK", "'.'"]),
        ("other.ipynb", ["NOTEBOOK", "copy of a lesson", "00, 01"]),
        ("other.ipynb --seconds 0", ["--seconds", "'0'"]),
        ("", ["NOTEBOOK"]),
    ],
)
def test_what_is_no_copy_of_a_lesson_is_one_line(words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("text.ipynb").write_text("a text")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), "other.ipynb")
    assert main(["grade", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(part in line for part in expected), line


def test_without_jupyter_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["grade", "x.ipynb"]) == 2
    assert 'pip install "minidiffusion[lessons]"' in capsys.readouterr().err
