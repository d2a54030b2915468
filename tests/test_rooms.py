"""The plan of the package: which room may import from which, and how many there are."""

import ast
import subprocess
import sys
from pathlib import Path

import minidiffusion

PACKAGE = Path(minidiffusion.__file__).parent
# Each room imports only from those before it, and from itself. __init__.py opens all doors, so it is not asked.
ROOMS = (
    *("check", "schedule", "process", "heads", "denoiser", "objectives", "samplers", "guidance", "oracle"),
    *("likelihood", "metrics", "nets", "data", "training", "rivals", "systems", "plots", "course", "cli", "__main__"),
)


def imports(path):
    """The modules of this package that a file imports, anywhere in it, as tuples such as ("nets", "unet")."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level]
            names = [tuple(node.module.split("."))] if node.module else [(alias.name,) for alias in node.names]
            yield from ((*base, *name) for name in names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "minidiffusion":
            yield tuple(node.module.split(".")[1:]) or ("__init__",)


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "_lessons" not in path.parts and "claims" not in path.parts]


def test_no_import_runs_back_up():
    back = []
    for path in FILES:
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room == "__init__":
            continue
        for name in imports(path):
            known = name[0] if name[0] in ROOMS else "__init__"
            if known == "__init__":  # the version, which the command line prints
                assert room == "cli" and name in (("__version__",), ()), (path, name)
            elif ROOMS.index(known) > ROOMS.index(room):
                back.append((path.relative_to(PACKAGE).as_posix(), ".".join(name)))
    assert not back


def test_no_two_files_of_a_room_import_each_other():
    edges = {}
    for path in FILES:
        module = path.relative_to(PACKAGE).with_suffix("").parts
        if module[-1] != "__init__":
            edges[module] = {name for name in imports(path) if name != module}

    def reaches(start, module, seen):
        for following in edges.get(module, ()):
            if following == start or (following not in seen and reaches(start, following, seen | {following})):
                return True
        return False

    assert not [module for module in edges if reaches(module, module, frozenset())]


def test_a_newcomer_sees_at_most_24_entries():
    entries = [path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "_lessons")]
    assert len(entries) <= 24, sorted(entries)


def test_importing_the_package_leaves_the_course_and_matplotlib_alone():
    late = "('minidiffusion.course', 'matplotlib')"
    code = f"import sys, minidiffusion; print([m for m in sys.modules if m.startswith({late})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
