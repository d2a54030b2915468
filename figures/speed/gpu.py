"""Everything that we ask of a GPU, within six minutes: do the cuda tests pass, and how fast are the networks there?

    python figures/speed/gpu.py                       on a GPU; writes gpu/NAME.json, NAME being that of the device
    python figures/speed/gpu.py --quick --device cpu  tiny networks for a minute, to see whether it runs; writes nothing

It measures three networks of this package, each in training and in sampling: the latent U-Net of Stable Diffusion, the
decoder of DALL-E 2 and the U-Net for Fashion-MNIST. Next to each stands diffusers' network with about as many weights.
All run in bfloat16, as they are and compiled, and take turns. The share of the peak is the arithmetic of a step over
what a large matrix product reaches here in the same time.

After each row, the file is written, so a run that is cut short leaves the rows before. A row that takes long leaves
less time for the rows after it, and a network is only compiled while the row has time left.
"""

from __future__ import annotations

import argparse
import copy
import functools
import gc
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.extend(
    str(Path(__file__).parents[1] / folder) for folder in ("", "systems")
)  # common.py, diffusers_networks.py

import diffusers_networks
import page
import torch
import torch.nn.functional as F
from common import VERSIONS, Parser
from peers import CASES, Diffusers, Minidiffusion, versions
from protocol import commit, machine, rate, rounded, settle, summary, take_turns
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import minidiffusion as md
from minidiffusion.nets import UNet
from minidiffusion.systems.recipes import DECODER_DRAFT, LATENT_DIFFUSION_DRAFT
from minidiffusion.training.device import as_device, autocast, has_fast_bfloat16

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
SCALE = 4.0  # of the guidance
WARM = 3  # calls before the clock starts; a CUDA graph is recorded in the second


class Size(NamedTuple):
    batch: int = 64  # in training
    drawn: int = 16  # pictures at once in sampling
    steps: int = 20  # of the sampler
    rounds: int = 3
    seconds: float = 0.4  # of one run
    rows: int = 8192  # of the matrices whose product is the peak


QUICK = Size(batch=2, drawn=1, steps=2, rounds=2, seconds=0.0, rows=256)


class System(NamedTuple):
    """A network of ours and one of diffusers. words: how many a prompt has for the network, 0 without prompts."""

    name: str
    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    words: int = 0
    width: int = 0  # of a word


def systems(quick: bool) -> list[System]:
    def latent() -> UNet:
        return UNet(8, (32, 64), (1, 1), context=128) if quick else LATENT_DIFFUSION_DRAFT.build(None).net

    def decoder() -> UNet:
        return UNet(12, (32, 64), (1, 1), context=128) if quick else DECODER_DRAFT.build(None).net

    grey = CASES[0]
    clothes = (partial(peer.network, grey) for peer in (Minidiffusion(), Diffusers()))
    return [
        System("Stable Diffusion", latent, like(latent), (8, 16, 16), 24, 128),
        System("DALL-E 2, decoder", decoder, like(decoder), (12, 16, 16), 28, 128),
        System("Fashion-MNIST", *clothes, (grey.channels, grey.side, grey.side)),
    ]


def like(ours: Callable[[], UNet]) -> Callable[[], nn.Module]:
    """Builds diffusers' network of this size; finding its widths takes seconds, and so happens once."""
    network = functools.cache(lambda: diffusers_networks.unet(ours()))
    return lambda: copy.deepcopy(network())


class Bench(NamedTuple):
    """What all contenders of a row share."""

    size: Size
    device: torch.device
    precision: str
    x: Tensor  # (batch, ...) data
    words: Tensor | None


def ours_trains(net: nn.Module, bench: Bench, compile: bool) -> Callable[[], int]:
    """`fit` as users call it, with its losses, clipped gradients and averaged weights."""
    denoiser, data = ours(net), bench.x if bench.words is None else (bench.x, bench.words)
    options = dict(batch_size=bench.size.batch, weighting="min_snr", precision=bench.precision, compile=compile)
    return stepping(md.fit(denoiser, data, 10**6, **options), bench.size.batch)


def ours_draws(net: nn.Module, bench: Bench, compile: bool) -> Callable[[], int]:
    """dpmpp_2m as in StableDiffusion.draw, guided where there are prompts."""
    denoise: Any = ours(net).eval().requires_grad_(False)
    denoise = md.training.compiled(denoise) if compile else denoise
    z = bench.x[: bench.size.drawn]
    cond = None if bench.words is None else bench.words[: bench.size.drawn]
    if cond is not None:
        denoise = md.guidance.classifier_free(denoise, SCALE, torch.zeros_like(cond))

    def draw() -> int:
        with autocast(bench.device, bench.precision):
            md.sample(denoise, z, steps=bench.size.steps, method="dpmpp_2m", cond=cond)
        return len(z)

    return draw


def ours(net: nn.Module) -> md.Denoiser:
    return md.Denoiser(net.to(memory_format=torch.channels_last), md.schedule.cosine(), md.heads.V)


def theirs_trains(net: nn.Module, bench: Bench, compile: bool) -> Callable[[], int]:
    """The loop of diffusers' text-to-image example: AdamW at 1e-4, noise predicted, gradients clipped; no average."""
    return stepping(their_steps(net, bench, compile), bench.size.batch)


def their_steps(net: nn.Module, bench: Bench, compile: bool) -> Iterator[None]:
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
    model = torch.compile(net.train(), mode=mode(bench.device)) if compile else net.train()
    while True:
        t, eps = torch.randint(0, 1000, (len(bench.x),), device=bench.device), torch.randn_like(bench.x)
        with autocast(bench.device, bench.precision):
            guess = asked(model, scheduler.add_noise(bench.x, eps, t), t, bench.words)
        loss = F.mse_loss(guess.float(), eps)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        loss.item()  # because its progress bar shows the loss
        yield


def theirs_draws(net: nn.Module, bench: Bench, compile: bool) -> Callable[[], int]:
    """DPM-Solver++ as in its pipeline: weights in bfloat16, and guidance in one call with twice the batch."""
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    dtype = getattr(torch, bench.precision)
    net = net.to(dtype).eval().requires_grad_(False)
    model = torch.compile(net, mode=mode(bench.device)) if compile else net
    z = bench.x[: bench.size.drawn].to(dtype)
    words = None if bench.words is None else bench.words[: len(z)].to(dtype)
    words = None if words is None else torch.cat([torch.zeros_like(words), words])

    @torch.no_grad()
    def draw() -> int:
        scheduler.set_timesteps(bench.size.steps, device=bench.device)
        x = z
        for t in scheduler.timesteps:
            guess = asked(model, x if words is None else torch.cat([x, x]), t, words)
            if words is not None:
                without, guided = guess.chunk(2)
                guess = without + SCALE * (guided - without)
            x = scheduler.step(guess, t, x, return_dict=False)[0]
        return len(z)

    return draw


def asked(model: nn.Module, x: Tensor, t: Tensor, words: Tensor | None) -> Tensor:
    return model(x, t, *([] if words is None else [words]), return_dict=False)[0]


def mode(device: torch.device) -> str:
    return "reduce-overhead" if device.type == "cuda" else "default"  # CUDA graphs are for CUDA


def stepping(steps: Iterator[Any], batch: int) -> Callable[[], int]:
    def step() -> int:
        next(steps)
        return batch

    return step


TASKS = {
    "sampling": {"minidiffusion": ours_draws, "diffusers": theirs_draws},
    "training": {"minidiffusion": ours_trains, "diffusers": theirs_trains},
}


def prepared(make: Callable[[], Callable[[], int]], device: torch.device) -> tuple[Callable[[], int], float]:
    """A contender after its first calls, which may have to compile it, and how many seconds these took."""
    started = time.perf_counter()
    work = make()
    for _ in range(WARM):
        work()
    settle(device)
    return work, time.perf_counter() - started


def arithmetic(work: Callable[[], int]) -> float:
    """GFLOP for one picture; a multiply-add counts as two operations, and training includes the backward pass."""
    with FlopCounterMode(display=False) as counter:
        pictures = work()
    return counter.get_total_flops() / pictures / 1e9


def measure(
    system: System, task: str, size: Size, device: torch.device, compile: bool, peak: float, missing: str, until: float
) -> dict[str, Any]:
    """A row: all contenders of a network and a task. missing: why diffusers cannot run. until: when time is over."""
    precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size.batch, *system.shape, generator=generator).clamp(-3, 3).to(device) / 3
    words = (
        torch.randn(size.batch, system.words, system.width, generator=generator).to(device) if system.words else None
    )
    bench = Bench(size, device, precision, x, words)
    found: dict[str, dict[str, Any]] = {}
    ready: dict[str, Callable[[], float]] = {}
    for compiles in (False, True) if compile else (False,):
        for project, make in TASKS[task].items():
            name = f"{project}, compiled" if compiles else project
            why_not = missing if project == "diffusers" else ""
            if compiles and project not in ready:
                why_not = why_not or "it does not run as it is"
            elif compiles and time.perf_counter() > until:
                why_not = "this row had no time left to compile it"
            if why_not:
                found[name] = {"skipped": why_not}
                continue
            try:
                torch.manual_seed(0)
                net = (system.ours if project == "minidiffusion" else system.theirs)().to(device)
                work, seconds = prepared(partial(make, net, bench, compiles), device)
                gflop = found[project]["gflop_a_picture"] if compiles else rounded(arithmetic(work))
                ready[name] = rate(work, device, size.seconds)
                weights = diffusers_networks.weights(net)
                found[name] = {"parameters": weights, "gflop_a_picture": gflop, "seconds_to_start": rounded(seconds)}
            except Exception as error:  # one that fails must not cost us the others
                first = next(iter(str(error).splitlines()), "")
                found[name] = {"skipped": f"{type(error).__name__}: {first[:200]}"}
    for name, runs in take_turns(ready, size.rounds).items():
        speed = summary(runs)
        share = found[name]["gflop_a_picture"] * speed["median"] / peak
        found[name] |= {"pictures_per_second": speed, "share_of_peak": rounded(share)}
    about = {"batch": size.batch} if task == "training" else {"batch": size.drawn, "steps": size.steps}
    return {"network": system.name, "task": task, **about, "precision": precision, "contenders": found}


def matrix_product(size: Size, device: torch.device) -> dict[str, Any]:
    """GFLOP per second of a product of two large square matrices, in the precision of the networks."""
    dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    a, b = (torch.randn(size.rows, size.rows, device=device).to(dtype) for _ in range(2))

    def multiply() -> float:
        a @ b
        return 2 * size.rows**3 / 1e9

    runs = take_turns({"product": rate(multiply, device, size.seconds)}, size.rounds)["product"]
    return {"rows": size.rows, "dtype": str(dtype), "gflop_per_second": summary(runs)}


def cuda_tests(seconds: float) -> dict[str, Any]:
    """Run all tests that are marked cuda, in a process of their own."""
    files = [str(file) for file in sorted((ROOT / "tests").glob("test_*.py")) if "mark.cuda" in file.read_text()]
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-m", "cuda", "-q", "-rfE", "--tb=short", *files]
    started = time.perf_counter()
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
        said, passed = run.stdout.strip().splitlines(), run.returncode == 0
    except subprocess.TimeoutExpired:
        said, passed = [f"stopped after {seconds:.0f} seconds"], False
    if not passed:
        print("\n".join(said[-60:]), flush=True)
    return {
        "passed": passed,
        "said": said[-1] if said else "nothing",
        "seconds": rounded(time.perf_counter() - started),
    }


def table(result: dict[str, Any]) -> str:
    lines = [f"{result['machine']['processor']}, torch {result['versions']['torch']}"]
    if "tests" in result:
        lines.append(f"cuda tests: {result['tests']['said']}")
    product = result["peak"]["gflop_per_second"]["median"] / 1000
    lines.append(f"matrix product of {result['peak']['rows']} rows: {product:.4g} TFLOP/s in {result['peak']['dtype']}")
    form = "{:<18} {:<9} {:<24} {:>9} {:>10} {:>32} {:>8}"
    lines.append(form.format("network", "task", "", "weights", "GFLOP", "pictures/s", "of peak"))
    for row in result["rows"]:
        for name, each in row["contenders"].items():
            if "skipped" in each:
                lines.append(f"{row['network']:<18} {row['task']:<9} {name:<24} skipped: {each['skipped']}")
                continue
            speed = each["pictures_per_second"]
            spread = f"{speed['median']:g} ({min(speed['runs']):g} to {max(speed['runs']):g})"
            size, gflop = f"{each['parameters'] / 1e6:.2f} M", f"{each['gflop_a_picture']:g}"
            lines.append(
                form.format(row["network"], row["task"], name, size, gflop, spread, f"{each['share_of_peak']:.1%}")
            )
    return "\n".join(lines)


def main() -> None:
    parser = Parser(__doc__ or "")
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--budget", type=float, default=300.0, help="seconds; a network that compiles may exceed it a little"
    )
    parser.add_argument("--quick", action="store_true", help="tiny networks, only to see whether everything runs")
    parser.add_argument(
        "--tests", action=argparse.BooleanOptionalAction, help="run the cuda tests first; default: on a GPU"
    )
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="default: on a GPU, unless --quick")
    parser.add_argument("--out", type=Path, help="the file to write; default: gpu/NAME.json, and none with --quick")
    arguments = parser.parse()

    started = time.perf_counter()
    end = started + arguments.budget
    device, size = as_device(arguments.device), QUICK if arguments.quick else Size()
    logging.disable(logging.WARNING)  # diffusers warns of every network that becomes bfloat16
    compile = arguments.compile if arguments.compile is not None else device.type == "cuda" and not arguments.quick
    about, missing = machine(device), Diffusers().missing()
    out = arguments.out or (None if arguments.quick else HERE / "gpu" / f"{page.slug(about)}.json")
    result: dict[str, Any] = {
        "command": "python figures/speed/gpu.py" + " --quick" * arguments.quick,
        "machine": about | ({"cuda": torch.version.cuda} if device.type == "cuda" else {}),
        "versions": VERSIONS | versions([Minidiffusion()] if missing else [Minidiffusion(), Diffusers()]),
        "commit": commit(),
        "protocol": f"medians of {size.rounds} rounds by turns, runs of {size.seconds:g} s after {WARM} calls",
        "budget_seconds": arguments.budget,
    }
    if device.type == "cuda" if arguments.tests is None else arguments.tests:
        result["tests"] = cuda_tests(0.3 * arguments.budget)
    result["peak"] = matrix_product(size, device)
    result["rows"] = []
    peak = result["peak"]["gflop_per_second"]["median"]
    plan = [(system, task) for system in systems(arguments.quick) for task in TASKS]
    for i, (system, task) in enumerate(plan):
        now = time.perf_counter()
        until = now + (end - now) / (len(plan) - i)
        print(f"{system.name}, {task} ...", flush=True)
        result["rows"].append(measure(system, task, size, device, compile, peak, missing, until))
        result["seconds"] = round(time.perf_counter() - started)
        if out:
            out.parent.mkdir(exist_ok=True)
            out.write_text(json.dumps(result, indent=1) + "\n")
        torch._dynamo.reset()
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    print(table(result))
    if "tests" in result and not result["tests"]["passed"]:
        sys.exit("the cuda tests did not pass")


if __name__ == "__main__":
    main()
