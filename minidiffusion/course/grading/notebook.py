"""Read a copy: find out which lesson it is, where its answers are, and which cells they need."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import re
import symtable
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HIDDEN = re.compile(r"\bimport \*|\b(?:exec|globals|setattr)\(|^%run\b", re.M)  # bind names that the text does not show
LONG, MAGICS = 100_000, 50  # characters and magic commands of a cell; to read longer ones takes minutes
MAGIC = re.compile(r"^[^#\n]*(?:[%!]\w|=[ \t]*[%!])|^[ \t]*[%!?,;/]|\?[ \t]*$", re.M)
TRAINS = re.compile(r"(?:^|_)(?:fit|train)(?:_|$)")  # functions that change their arguments


@dataclasses.dataclass(frozen=True)
class Stub:
    """The expression that a lesson passes to a check, usually a name, and the id of its cell."""

    expression: str
    cell: str


class Names(NamedTuple):
    """The names that a cell imports, that it assigns or imports, that it reads, and that its functions read later."""

    imports: set[str]
    binds: set[str]
    uses: set[str]
    later: set[str]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell, and how its code uses names."""

    source: str
    id: str
    code: bool

    @functools.cached_property
    def tree(self) -> ast.Module:
        """Its code without IPython's magic commands; empty if it is not Python."""
        from IPython.core.inputtransformer2 import TransformerManager

        text = re.sub(r"\A%%.*\n", "", self.source) if self.code else ""
        if len(text) > LONG or len(MAGIC.findall(text)) > MAGICS:
            return ast.parse("")
        try:
            tree = ast.parse(TransformerManager().transform_cell(text))
            ast.unparse(tree)  # fails where a tree is too deep to walk
            return tree
        except Exception:  # a hundred thousand minus signs give a MemoryError
            return ast.parse("")

    @functools.cached_property
    def names(self) -> Names:
        """How its statements use names, one after the other."""
        found = Names(set(), set(), set(), set())
        try:
            statements = list(simple(self.tree.body))
        except RecursionError:  # a chain of a thousand elifs
            return found
        for statement in statements:
            try:
                tables = [symtable.symtable(ast.unparse(statement), "cell", "exec")]
            except SyntaxError:  # for example `return` outside a function
                return Names(set(), set(), set(), set())
            for table in tables:
                tables.extend(table.get_children())
            own = tables[0].get_symbols()
            later = {symbol.get_name() for table in tables[1:] for symbol in table.get_symbols() if symbol.is_global()}
            now = {symbol.get_name() for symbol in own if symbol.is_referenced()}
            found.later.update(later)
            found.uses.update((now | later) - found.binds)
            found.imports.update(symbol.get_name() for symbol in own if symbol.is_imported())
            found.binds.update(symbol.get_name() for symbol in own if symbol.is_assigned() or symbol.is_imported())
        found.uses.update(self.changes - found.binds)
        return found

    @functools.cached_property
    def changes(self) -> set[str]:
        """The names whose values it changes in place: items, attributes, methods called for their effect, training."""
        names = set()
        for statement in ast.walk(self.tree):
            if isinstance(statement, (ast.Assign, ast.Delete)):
                targets = [target for target in statement.targets if not isinstance(target, ast.Name)]
                names |= {root(target) for target in targets}
            elif isinstance(statement, ast.AugAssign):
                names.add(root(statement.target))
            elif isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "func", None), ast.Attribute):
                names.add(root(statement.value))
            if isinstance(statement, ast.Call) and TRAINS.search(last_name(statement.func)):
                names |= {root(argument) for argument in statement.args}
        return names - {""}

    @functools.cached_property
    def checks(self) -> dict[str, str]:
        """The exercises that it checks, with the expressions."""
        return {
            call.args[0].value: ast.unparse(call.args[1])
            for call in ast.walk(self.tree)
            if isinstance(call, ast.Call)
            and last_name(call.func) == "check"
            and len(call.args) == 2
            and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)
        }


def simple(statements: list[Any]) -> Iterator[ast.stmt]:
    """The statements in their order, with those inside a loop or a block after its head."""
    for statement in statements:
        if isinstance(statement, (ast.For, ast.While, ast.With, ast.If, ast.Try)):
            head = copy.copy(statement)
            vars(head).update(body=[ast.Pass()], orelse=[], handlers=[], finalbody=[ast.Pass()])
            yield head
            inside = [one for part in getattr(statement, "handlers", []) for one in part.body]
            inside += [*getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]
            yield from simple([*statement.body, *inside])
        else:
            yield statement


def root(node: ast.AST) -> str:
    """`a` for a[0].b(c).d; an empty string if there is no name at its root."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def last_name(function: ast.AST) -> str:
    """`c` for a.b.c."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def read(path: Path) -> list[Cell]:
    """The cells of a notebook. ValueError if the file is not a notebook."""
    import warnings

    import nbformat

    if not path.is_file():
        raise ValueError(f"NOTEBOOK must be a file, but there is no {str(path)!r}")
    try:
        with warnings.catch_warnings():  # of cells without an id
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        return [Cell(str(cell.source), cell.get("id", ""), cell.cell_type == "code") for cell in notebook.cells]
    except Exception as error:  # nbformat raises a dozen kinds of errors
        raise ValueError(f"NOTEBOOK must be a Jupyter notebook, but {str(path)!r} is not: {error}") from None


def lesson_of(path: Path, cells: list[Cell], lessons: Path) -> tuple[str, Path]:
    """The number and the file of the lesson that was copied.

    It follows from the exercises that the copy checks, or else from its title or its file name.
    """
    there = {file.name[:2]: file for file in sorted(lessons.glob("[0-9][0-9]_*.ipynb"))}
    said = [exercise[:2] for cell in cells for exercise in cell.checks]
    for cell in cells:
        if not cell.code:
            said += re.findall(r"^# .*?lesson (\d\d)\b", cell.source, flags=re.I | re.M)
    said += re.findall(r"^\d\d", path.name)
    known = [number for number in said if number in there]
    if not known:
        raise ValueError(
            f"NOTEBOOK must be a copy of a lesson ({', '.join(there) or 'none'}), but {str(path)!r} is not"
        )
    number = max(known, key=known.count)
    return number, there[number]


def stubs(cells: list[Cell]) -> dict[str, Stub]:
    """The exercises of an original lesson."""
    return {exercise: Stub(text, cell.id) for cell in cells for exercise, text in cell.checks.items()}


def names_in(expression: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}


def anchors(cells: list[Cell], exercises: dict[str, Stub]) -> dict[str, int]:
    """The code cell after which each answer is judged.

    That is the last cell that checks it. If there is none, it is the cell with the stub's id if it binds the name, then
    the last cell that binds the name. Otherwise it is the cell with the stub's id, or the last cell that is not valid
    Python but mentions the exercise, so that the report can say what is wrong with it.
    """
    found = {}
    for exercise, stub in exercises.items():
        names = names_in(stub.expression)
        for fits in (
            lambda cell: exercise in cell.checks,  # noqa: B023
            lambda cell: cell.id == stub.cell and names & cell.names.binds,  # noqa: B023
            lambda cell: names & cell.names.binds,  # noqa: B023
            lambda cell: cell.id == stub.cell or f'check("{exercise}"' in cell.source,  # noqa: B023
        ):
            if places := [number for number, cell in enumerate(cells) if fits(cell)]:
                found[exercise] = places[-1]
                break
    return found


def needed(cells: list[Cell], left: dict[str, int], exercises: dict[str, Stub]) -> set[int]:
    """The code cells that the answers need: their own, and those that bind or change a name that a needed cell uses.

    Changes that the text of a cell does not show are missed, such as those of a function that changes its argument.
    All cells that bind names in hidden ways are included.
    """
    imported = {name for cell in cells for name in cell.names.imports}
    wanted: set[int] = set()
    for exercise, anchor in left.items():
        todo = [anchor, *(n for n in range(anchor) if HIDDEN.search(cells[n].source))]
        for name in names_in(exercises[exercise].expression):
            todo += sources(cells, name, anchor + 1, imported)
        taken: set[int] = set()
        while todo:
            number = todo.pop()
            if number not in taken:
                taken.add(number)
                for name in cells[number].names.uses:
                    todo += sources(cells, name, number, imported)
                for name in cells[number].names.later:  # called by the cell itself, or by the check
                    todo += sources(cells, name, number, imported) + sources(cells, name, anchor + 1, imported)
        wanted |= taken
    return wanted


def sources(cells: list[Cell], name: str, before: int, imported: set[str]) -> list[int]:
    """The last cell before this one that binds the name, and the cells after it that change its value."""
    places = [number for number in range(before) if name in cells[number].names.binds]
    first = places[-1] if places else 0
    changed = [n for n in range(first, before) if name in cells[n].changes and name not in imported]
    return [*places[-1:], *changed]
