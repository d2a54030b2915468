"""Guards on the notebooks' form. nbval runs them and compares; here is what it would let pass."""

import ast
import functools
import inspect
import re
from pathlib import Path

import nbformat
import pytest
import torch

import minidiffusion as md
from minidiffusion.course.exercises import CHECKS
from minidiffusion.data.downloads import SOURCES

LESSONS = Path(__file__).parent.parent / "lessons"
LESSON_FILES = sorted(LESSONS.glob("[0-9]*.ipynb"))
SOLUTION_FILES = sorted((LESSONS / "solutions").glob("*.ipynb"))
NAMES = [path.name for path in LESSON_FILES]

lesson = pytest.mark.parametrize("path", LESSON_FILES, ids=NAMES)
notebook = pytest.mark.parametrize(
    "path", LESSON_FILES + SOLUTION_FILES, ids=lambda path: f"{path.parent.name}/{path.name}"
)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def prose(path):
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def draws(cell):
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def headings(path):
    text = re.sub(r"^```.*?^```", "", prose(path), flags=re.M | re.S)  # a comment in code begins with # too
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", text, flags=re.M)]


def exercises(path):
    return re.findall(r'^check\("([\d.]+)"', "\n".join(cell.source for cell in cells(path, "code")), flags=re.M)


def test_there_are_lessons():
    assert NAMES and [path.name for path in SOLUTION_FILES] == NAMES
    assert len({name[:2] for name in NAMES}) == len(NAMES) and max(NAMES)[:2] <= "23"


@notebook
def test_every_cell_was_run_in_order(path):
    assert [cell.execution_count for cell in cells(path, "code")] == list(range(1, len(cells(path, "code")) + 1))


@notebook
def test_something_is_compared(path):
    compared = [cell for cell in cells(path, "code") if "nbval-ignore-output" not in cell.metadata.get("tags", [])]
    assert any(re.search(r"^(Supported|Refuted|Checked): |: passed$", printed(cell), flags=re.M) for cell in compared)


@notebook
def test_outputs_hold_nothing_of_one_machine_or_one_run(path):
    for cell in cells(path, "code"):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            assert not re.search(r"application/vnd|image/svg", " ".join(output.get("data", {})))
            text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not re.search(r"Warning|(?<![\w.])/(\w+/)+\w|\w:\\", text), text


@notebook
def test_files_are_small_and_their_metadata_are_short(path):
    read = nbformat.read(path, as_version=4)
    assert path.stat().st_size < 1_500_000
    assert set(read.metadata) == {"kernelspec", "language_info"} and read.metadata.kernelspec.name == "python3"
    assert all(set(cell.metadata) <= {"tags"} for cell in read.cells)


@notebook
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        assert len(cell.source.splitlines()) <= 15, cell.source
        assert max(map(len, cell.source.splitlines())) <= 96, cell.source  # what JupyterLab shows of a line


@notebook
def test_headings_are_in_order(path):
    levels = [level for level, _ in headings(path)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


@notebook
def test_links_resolve(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith("#"):
            assert target[1:] in [title.replace(" ", "-") for _, title in headings(path)], target
        elif not target.startswith("https://"):
            assert (path.parent / target).exists(), target
            assert "solutions" not in target, "students do not get that folder"


FILE = r"(?:minidiffusion|figures)(?:/[\w.-]+)+|[\w/]+\.(?:py|json|toml|md)"


def missing(texts):
    """The files that texts name and this project lacks; a name alone is that of a file beside the one before it."""
    folder, names = LESSONS.parent, re.findall(rf"`({FILE})`|#.*?\b({FILE})", "\n".join(texts))
    for name in map("".join, names):
        places = (LESSONS.parent, LESSONS.parent / "minidiffusion", folder)
        found = [place / name for place in places if (place / name).exists()]
        if not found:
            yield name
        folder = found[0].parent if found else folder


@notebook
def test_the_files_that_the_text_names_are_there(path):
    assert not list(missing(cell.source for cell in nbformat.read(path, as_version=4).cells))


@pytest.mark.parametrize(
    "text",
    [
        *("`minidiffusion/training.py`", "`figures/claims/e01_factorial/experiment.py`", "`samplers/grids.py`"),
        *("`minidiffusion/samplers/loop.py` and `grids.py` beside it", 'load("e01")  # in claims/experiment.py'),
    ],
)
def test_a_file_that_moved_is_seen(text):
    assert len(list(missing(["`minidiffusion/nets/unet.py` and `dit.py`", text]))) == 1


@notebook
def test_pictures_in_the_text_have_a_description(path):
    assert not re.search(r"!\[\]|<img(?![^>]*alt=\"[^\"]+\")", prose(path))


def second_edition(path):
    return "## Small print" in prose(path)


@lesson
def test_the_contents_name_every_section(path):
    if second_edition(path):
        return
    sections = [title for level, title in headings(path) if level == 2 and title != "Contents"]
    assert re.findall(r"^- \[([^\]]+)\]\(#", prose(path), flags=re.M) == sections


@lesson
def test_the_parts_of_a_lesson_are_there(path):
    text = prose(path)
    if second_edition(path):
        parts_of_the_second_edition(path, text)
        return
    for part in (
        *(
            "**The question.**",
            "**After this lesson you can**",
            "**Time.**",
            "**What comes before.**",
            "**References.**",
        ),
        *("## Contents", "### Predict", "## Play", "## Exercises", "## What this does not show"),
        *("**Where to read on.**", "**Claims.**"),
    ):
        assert part in text, part
    assert re.search(r"under test\.\*\*.*?[Rr]efuted", text, flags=re.S)


SMALL_PRINT = (
    *("**You can now**", "**Time.**", "**What comes before.**", "**The article.**", "**What this does not show.**"),
    "**References.**",
)


def parts_of_the_second_edition(path, text):
    """A picture and a question come first, each prediction gets its answer, and the book-keeping comes at the end."""
    assert next(cell for cell in cells(path, "code") if draws(cell)).execution_count <= 3
    assert "**The question.**" in cells(path, "markdown")[0].source
    titles = [title for level, title in headings(path) if level == 2]
    assert titles[-2:] == ["Exercises", "Small print"] and "Play" in titles
    small_print = text.split("## Small print")[1]
    for part in SMALL_PRINT:
        assert part in small_print and part not in text.split("## Small print")[0], part
    predictions = re.split(r"^### Predict", text, flags=re.M)[1:]
    assert predictions
    for prediction in predictions:
        letters = re.findall(r"\(([a-d])\)", prediction.split("**Answer:")[0])
        answer = re.search(r"\*\*Answer: \(([a-d])\)\.?\*\*", prediction)
        assert answer and answer[1] in letters and len(set(letters)) >= 2, prediction[:200]


@lesson
def test_every_figure_is_followed_by_what_it_shows_and_a_number(path):
    code = cells(path, "code")
    for cell, following in zip(code, [*code[1:], None], strict=True):
        if draws(cell) and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            said = printed(cell) + (printed(following) if following else "")
            assert said.count("What the figure shows: ") == 1 and re.search(r"\d", said), cell.source


@notebook
def test_every_row_of_a_table_has_as_many_cells_as_its_head(path):
    shown = [out.get("data", {}).get("text/markdown", "") for cell in cells(path, "code") for out in cell.outputs]
    for text in (prose(path), *shown):
        for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.M):  # a bar that is not escaped begins a new cell
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


@lesson
def test_the_widget_has_a_picture_for_readers_without_a_kernel(path):
    code = cells(path, "code")
    widgets = [i for i, cell in enumerate(code) if re.search(r"\b(Scrubber|Live)\(", cell.source)]
    assert widgets
    for i in widgets:
        assert code[i].metadata.tags == ["nbval-ignore-output"] and draws(code[i])
        assert draws(code[i + 1])


@lesson
def test_exercises_are_stubs_with_folded_solutions(path):
    numbers = exercises(path)
    assert numbers == [number for number in CHECKS if number.startswith(path.name[:2])]
    stubs = [cell for cell in cells(path, "code") if re.search(r"^check\(", cell.source, flags=re.M)]
    for number, cell in zip(numbers, stubs, strict=True):
        assert "..." in cell.source and printed(cell) == f"Exercise {number}: not attempted yet\n"
    assert prose(path).count("<details><summary>Solution</summary>") == len(numbers)


@lesson
def test_folded_solutions_are_the_ones_that_were_checked(path):
    checked = "\n".join(cell.source for cell in cells(LESSONS / "solutions" / path.name, "code"))
    folded = re.findall(r"<summary>Solution</summary>\n\n```python\n(.*?)\n```", prose(path), flags=re.S)
    assert len(folded) == len(exercises(path))
    for solution in folded:
        assert solution in checked, solution


@lesson
def test_solutions_pass_every_check(path):
    solution = LESSONS / "solutions" / path.name
    outputs = "".join(printed(cell) for cell in cells(solution, "code"))
    assert "not attempted" not in outputs and "not yet" not in outputs and "Check failed" not in outputs
    for number in exercises(path):
        assert f"Exercise {number}: passed\n" in outputs


@lesson
def test_the_map_lists_the_lesson(path):
    title = headings(path)[0][1].removeprefix("Lesson ").replace(":", "")
    (row,) = [line for line in (LESSONS / "README.md").read_text().splitlines() if f"]({path.name})" in line]
    assert f"[{title}]({path.name})" in row
    question, minutes = (
        re.search(rf"\*\*{key}\*\* (.+?)$", prose(path), flags=re.M)[1] for key in ("The question.", "Time.")
    )
    assert f"| {question} |" in row
    seconds = re.search(r"about (\d+) seconds", prose(path))[1]
    assert f"| {minutes.split()[0]} | {seconds} s |" in row


def test_links_of_the_map_resolve():
    for target in re.findall(r"\]\(([^)\s]+)\)", (LESSONS / "README.md").read_text()):
        assert target.startswith("https://") or (LESSONS / target).exists(), target


# no network

ONLINE = re.compile(
    r"^\s*(?:!|%pip|%conda|%system|%%bash|%%sh)"
    r"|\b(?:import|from) (?:requests|urllib|http|socket|pooch|ftplib|subprocess)\b"
    r"|https?://|\b(?:urlopen|urlretrieve|download\w*|from_pretrained|hub)\(|\bos\.(?:system|popen)\b",
    re.M,
)


@notebook
def test_no_cell_asks_the_network(path):
    for cell in cells(path, "code"):
        assert not ONLINE.search(cell.source), cell.source
        for name in re.findall(r"""\bload\(\s*["'](\w+)["']""", cell.source):
            assert name not in SOURCES, f"{name} is a download; fashion_mnist_6k is in the package"


@pytest.mark.parametrize(
    "source",
    ["!pip install x", "import requests", "from urllib import request", 'load_url("https://a.b")', "os.system('curl')"],
)
def test_the_guard_against_the_network_sees_it(source):
    assert ONLINE.search(f"x = 1\n{source}")


# the glossary: its code column names what there is

GLOSSARY = (LESSONS / "README.md").read_text().split("## The symbols")[1]
CODE = [span for row in re.findall(r"^\|.*\|$", GLOSSARY, re.M)[2:] for span in re.findall(r"`([^`]+)`", row)]
KNOWN = {"md": md, "torch": torch, "schedule": md.schedule.cosine()}


def chains(code):
    """The dotted names in a line of code, as lists of their parts."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a part of a line, such as `.mean()`
        return
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            node, parts = node.value, [node.attr, *parts]
        if isinstance(node, ast.Name) and parts:
            yield [node.id, *parts]


@pytest.mark.parametrize("code", CODE)
def test_the_code_of_a_symbol_names_what_there_is(code):
    for root, *parts in chains(code):
        if root in KNOWN:
            functools.reduce(member, parts, KNOWN[root])


def member(owner, name):
    """An attribute; of a class, also one that its instances get, which its code then names."""
    if isinstance(owner, type) and not hasattr(owner, name) and f"self.{name}" in inspect.getsource(owner):
        return None
    return getattr(owner, name)


def test_the_glossary_has_a_line_of_code_for_most_symbols():
    assert len(CODE) > 10
    with pytest.raises(AttributeError):
        test_the_code_of_a_symbol_names_what_there_is("md.diffus(x0, t)")


# every guard of the list: counts, comparison, what a figure shows with a number, warnings, links, descriptions


def test_each_guard_is_here():
    wanted = (
        "run_in_order",
        "compared",
        "figure_is_followed",
        "nothing_of_one_machine",
        "links_resolve",
        "description",
    )
    tests = [name for name in globals() if name.startswith("test_")]
    assert all(any(part in name for name in tests) for part in wanted)


def answers(path):
    return re.findall(r"\*\*Answer: \((\w)\)", prose(path))


def test_the_key_for_teachers_has_the_answers_of_the_lessons():
    key = dict(re.findall(r"\| (\d\d) \| ([a-z](?: [a-z])*) (?=\|)", (LESSONS / "TEACHING.md").read_text()))
    assert key == {path.name[:2]: " ".join(answers(path)) for path in LESSON_FILES}


# Decimals in the text that no cell prints, because they are no results: definitions, choices that a question offers,
# and quotations from papers or from figures/, which the text names
GIVEN = {
    "01": "0.0001 0.00085 0.006 0.2 2.3 8.5",
    "03": "1.15",
    "04": "13.3 2.5 4.3",
    "06": "1.44 13.51 3.1 3.17 3.70 3.75 4.3",
    "07": "0.25",
    "08": "0.0001 0.07",
    "09": "4.8",
    "11": "0.02 13.22 13.51 2.3 3.17",
    "12": "0.06",
    "13": "0.0001 0.02 0.06 0.27 1.6",
    "14": "0.008",
    "15": "0.0001 0.8 7.5",
    "16": "0.03 0.44 0.70 4.5",
    "17": "1.4",
    "18": "0.18 0.22 0.82 0.91 1.02 12.5",
    "19": "0.001 0.18215 0.76 0.81 2.2 5.5 6.6",
    "20": "0.27 0.38 0.46 0.52 1.4 2.2 3.1 3.3 3.5",
    "21": "0.025 0.93",
    "22": "0.27 0.93 13.22 13.51 2.2 3.17",
    "23": "22.1 22.3",
}


def decimals(text):
    return set(re.findall(r"(?<![\w.])\d+\.\d+", text.replace(",", "")))


@lesson
def test_each_decimal_of_the_text_is_printed_by_a_cell(path):
    text = prose(path).split("**References")[0]
    for hidden in (r"<details>.*?</details>", r"```.*?```", r"`[^`]*`", r"\]\([^)]*\)"):
        text = re.sub(hidden, "", text, flags=re.S)
    formulas = r"\$\$.*?\$\$|\$[^$]*\$"
    known = " ".join(re.findall(formulas, text, flags=re.S))
    for cell in cells(path, "code"):
        known += cell.source + "".join(str(out) for out in cell.outputs if "image/png" not in out.get("data", {}))
    found = decimals(re.sub(formulas, "", text, flags=re.S))
    given = GIVEN.get(path.name[:2], "").split()
    missing = found - decimals(known) - set(given)
    assert not missing and set(given) <= found
