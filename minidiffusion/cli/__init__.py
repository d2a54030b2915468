"""The command line: minidiffusion imagine | vary | blend | enlarge | studio | learn | sample | train | claims | ...

Each command is a module with `HELP`, `EXAMPLES`, a function `arguments` that declares its options, and `run`.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..check import one_of
from . import blend, claims, doctor, enlarge, evaluate, grade, handout, imagine, learn, sample, studio, train, vary

COMMANDS = {
    **{"imagine": imagine, "vary": vary, "blend": blend, "enlarge": enlarge, "studio": studio},
    **{"learn": learn, "handout": handout, "sample": sample, "train": train, "evaluate": evaluate},
    **{"claims": claims, "grade": grade, "doctor": doctor},
}
LONGEST = 2000  # characters of an error message


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports a mistake in a single line, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parser() -> Parser:
    top = Parser(
        prog="minidiffusion",
        description="Diffusion models from scratch: draw prompts, open the lessons, train networks.",
        epilog="`minidiffusion COMMAND --help` explains a command and gives examples.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"minidiffusion {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.arguments(
            commands.add_parser(
                name,
                help=command.HELP,
                description=(command.__doc__ or "").strip(),
                epilog=command.EXAMPLES,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 for success, 1 for a negative answer, 2 for bad input, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot write must not end finished work
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        if words and not words[0].startswith("-"):
            one_of("command", words[0], COMMANDS)
        arguments = parser().parse_args(words)
        if arguments.command is None:
            parser().print_help(sys.stderr)
            return 2
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print("minidiffusion:", one_line(str(message)), file=sys.stderr)
            return COMMANDS[arguments.command].run(arguments)
    except KeyboardInterrupt:
        print("minidiffusion: stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print("minidiffusion: error:", one_line(str(error)), file=sys.stderr)
        return 2


def one_line(message: str) -> str:
    """The message in one line, without control characters; the middle of a very long one is left out."""
    line = "".join(char if char.isprintable() else "?" for char in " ".join(message.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 505]} ... {line[-500:]}"
