"""The teacher's guide and the files for Binder agree with the lessons and the project."""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import minidiffusion as md

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parent.parent
GUIDE = (PROJECT / "lessons" / "TEACHING.md").read_text()
MAP = [
    [field.strip() for field in line.strip("| ").split(" | ")]
    for line in (PROJECT / "lessons" / "README.md").read_text().splitlines()
    if re.match(r"\| \[\d\d ", line)
]
MINUTES = {row[0][1:3]: int(row[3]) for row in MAP}
NEEDS = {row[0][1:3]: re.findall(r"\b\d\d\b", row[5]) for row in MAP}
ROWS = re.findall(r"^\| (\d+) \| ([\d, ]+) \| (\d+)(?:, so leave out [^|]*\((\d+)\))? \|", GUIDE, re.M)
PLANS = {int(hours): re.findall(r"\d\d", text) for hours, text, *_ in ROWS}
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@pytest.mark.parametrize("hours, plan, minutes, less", ROWS)
def test_the_minutes_of_a_course_add_up_and_fit_its_hours(hours, plan, minutes, less):
    assert sum(MINUTES[lesson] for lesson in re.findall(r"\d\d", plan)) == int(minutes)
    assert int(minutes) - int(less or 0) <= 60 * int(hours)


@pytest.mark.parametrize("hours", [6, 12])
def test_a_course_has_what_its_lessons_need(hours):
    plan = PLANS[hours]
    assert {"00", "07", "11", "22"} <= set(plan) and plan == sorted(plan)
    for lesson in plan:
        assert set(NEEDS.get(lesson, [])) <= set(plan), lesson


def test_twelve_hours_say_which_lessons_they_leave_out():
    out = {path.name[:2] for path in (PROJECT / "lessons").glob("[0-9]*.ipynb")} - set(PLANS[12])
    (said,) = re.findall(r"^Left out of twelve hours: .*$", GUIDE, re.M)
    assert out == {number for number in re.findall(r"\b\d\d\b", said)} - {"11"}


def test_links_of_the_guide_resolve():
    for target in re.findall(r"\]\(([^)\s]+)\)", GUIDE):
        assert target.startswith("https://") or (PROJECT / "lessons" / target.split("#")[0]).exists(), target
    titles = re.findall(r"^#+ (.*)$", (PROJECT / "lessons" / "README.md").read_text(), re.M)
    for anchor in re.findall(r"\]\(README\.md#([^)]+)\)", GUIDE):
        assert anchor in [title.lower().replace(" ", "-") for title in titles]


def test_the_blocks_of_the_guide_are_python():
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        compile(block, "TEACHING.md", "exec")


def test_the_assertion_for_nbgrader_holds_for_a_right_answer_only():
    (block,) = [block for block in BLOCKS if block.startswith("from minidiffusion") and "otter" not in block]
    exec(block, {"signal_left": lambda betas: (1 - betas).prod().sqrt()})
    with pytest.raises(AssertionError, match="Take its square root"):
        exec(block, {"signal_left": lambda betas: (1 - betas).prod()})


def test_binder_installs_this_project_and_what_it_names_is_there():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = [line.strip() for line in (PROJECT / "binder" / "requirements.txt").read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    assert wanted == [".[lessons]"] and "lessons" in project["optional-dependencies"]
    (constraints,) = [line.split()[1] for line in lines if line.startswith("-c")]
    pinned = {}
    for line in (PROJECT / "binder" / constraints).read_text().splitlines():
        if line and not line.startswith("#"):
            pinned[Requirement(line).name.lower()] = Requirement(line).specifier
    for text in [*project["dependencies"], *project["optional-dependencies"]["lessons"]]:
        requirement = Requirement(text)
        if requirement.marker is None:  # tomli is only for Pythons older than Binder's
            (version,) = pinned[requirement.name.lower()]
            assert requirement.specifier.contains(version.version), text
    python = (PROJECT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert SpecifierSet(project["requires-python"]).contains(f"{python}.0")


def test_the_wheel_of_the_readme_has_this_version():
    (version,) = re.findall(r"minidiffusion-([\d.]+)-py3", (PROJECT / "lessons" / "README.md").read_text())
    assert version == md.__version__
