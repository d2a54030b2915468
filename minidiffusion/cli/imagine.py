"""Draw pictures of a prompt with Stable Diffusion or DALL-E 2, and write them into one PNG file.

The file also says, in its metadata, how to draw the same pixels again.
"""

from __future__ import annotations

import argparse

from .. import check
from ..systems import studio
from ..systems.studio import typed
from ..systems.studio.records import MOST_SCALE, MOST_STEPS, SYSTEMS
from ..systems.studio.requests import DEFAULTS
from .drawing import answer, check_picture, options, real, whole

HELP = "draw pictures of a prompt"
EXAMPLES = """examples:
  minidiffusion imagine "woman astronaut, dark skin tone, fluent style"
  minidiffusion imagine "blue rose" --no red --seed 7
  minidiffusion imagine "blue rose --no red --seed 7"
  minidiffusion imagine "cat, noto style" --system dalle2 --count 1 --size 256 --out cat.png

Any words will do. A word that the networks have never read is named and left out. Styles that they know are noto
style, fluent style, fluent-flat style and twemoji style.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("prompt", metavar="PROMPT", help="what to draw, in quotes; it may end in --no WORDS and --seed N")
    add("--system", default=SYSTEMS[0], metavar="NAME", help=f"{' or '.join(SYSTEMS)} ({SYSTEMS[0]})")
    add("--no", metavar="WORDS", help="what the pictures should not show")
    scales, steps = (" and ".join(f"{DEFAULTS[name][i]:g} for {name}" for name in SYSTEMS) for i in (0, 1))
    guidance = f"how strongly to follow the prompt; 1 is no guidance; default: {scales}"
    add("--scale", type=real(0.0, MOST_SCALE), metavar="S", help=guidance)
    add("--steps", type=whole(1, MOST_STEPS), metavar="N", help=f"number of sampling steps; default: {steps}")
    options(parser, "imagine")


def run(args: argparse.Namespace) -> int:
    check_picture("--out", args.out)
    check.one_of("--system", args.system, SYSTEMS)
    line = typed.Typed.of(args.prompt)
    for name, typed_value in (("no", line.no), ("seed", line.seed)):
        if getattr(args, name) is not None and typed_value not in ("", None):
            raise ValueError(f"--{name} is given twice, inside PROMPT and after it")
    no = line.no if args.no is None else typed.clean(args.no)
    seed = args.seed if args.seed is not None else line.seed or 0
    request = studio.imagine(line.prompt, no, seed, args.system, args.count, args.scale, args.steps)
    systems = studio.Shipped()
    notes = [*line.notes, *typed.notes(systems[args.system].clip.tokenizer, line.prompt, no)]
    return answer(args, systems, request, notes)
