"""The command line: minidiffusion learn | sample | train | claims | grade | doctor. One file a command.

Each has a `HELP`, `EXAMPLES`, the `arguments` it takes, and `run`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from . import claims, doctor, grade, learn, sample, train
from .inputs import one_of

COMMANDS = {"learn": learn, "sample": sample, "train": train, "claims": claims, "grade": grade, "doctor": doctor}


class Parser(argparse.ArgumentParser):
    """argparse, but what is wrong is one line: the usage is not printed above it."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parser() -> Parser:
    top = Parser(
        prog="minidiffusion",
        description="Diffusion models from scratch, to be read: open the lessons, draw, train.",
        epilog="`minidiffusion COMMAND --help` explains one command, with examples.",
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
    """Run one command. Returns the exit code: 0, 1 for a no, 2 for bad input, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words and not words[0].startswith("-"):
            one_of("command", words[0], COMMANDS)
        arguments = parser().parse_args(words)
        if arguments.command is None:
            parser().print_help(sys.stderr)
            return 2
        return COMMANDS[arguments.command].run(arguments)
    except KeyboardInterrupt:
        print("minidiffusion: stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print("minidiffusion: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
