"""The script that measures a GPU, on the CPU with tiny networks, so that a GPU never finds us unprepared."""

import json
import sys
import time
from pathlib import Path

import pytest
import torch

FIGURES = Path(__file__).parent.parent / "figures"
sys.path.append(str(FIGURES / "speed"))

import gpu  # noqa: E402

CPU = torch.device("cpu")


def row(system, task, missing="", compile=False, until=float("inf")):
    return gpu.measure(system, task, gpu.QUICK, CPU, compile, peak=100.0, missing=missing, until=until)


@pytest.fixture(scope="module")
def latent():
    return gpu.systems(quick=True)[0]


@pytest.mark.parametrize("task", gpu.TASKS)
def test_a_row_has_speeds_and_shares_and_says_what_it_skipped(latent, task):
    found = row(latent, task, missing="it is not installed")["contenders"]
    ours = found["minidiffusion"]
    speed = ours["pictures_per_second"]["median"]
    assert ours["share_of_peak"] == pytest.approx(ours["gflop_a_picture"] * speed / 100, rel=2e-3)
    assert found["diffusers"] == {"skipped": "it is not installed"}


def test_a_row_without_time_compiles_nothing(latent, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *args, **options: pytest.fail("it compiled"))
    found = row(latent, "training", missing="it is not installed", compile=True, until=time.perf_counter())[
        "contenders"
    ]
    assert "pictures_per_second" in found["minidiffusion"]
    assert found["minidiffusion, compiled"] == {"skipped": "this row had no time left to compile it"}


def test_a_contender_that_fails_does_not_stop_the_others(latent):
    def broken():
        raise RuntimeError("out of luck\nand more")

    found = row(latent._replace(ours=broken), "sampling", missing="it is not installed", compile=True)["contenders"]
    assert found["minidiffusion"] == {"skipped": "RuntimeError: out of luck"}
    assert found["minidiffusion, compiled"] == {"skipped": "it does not run as it is"}


def test_the_arithmetic_of_sampling_is_that_of_its_calls_of_the_network(latent):
    net = latent.ours()
    x, words = torch.randn(2, *latent.shape), torch.randn(2, latent.words, latent.width)
    bench = gpu.Bench(gpu.QUICK, CPU, "float32", x, words)
    once = gpu.arithmetic(lambda: len(net(x, torch.rand(2), words)))
    assert gpu.arithmetic(gpu.ours_draws(net, bench, compile=False)) == pytest.approx(2 * gpu.QUICK.steps * once)


def test_it_writes_after_each_row_and_prints_a_table(latent, monkeypatch, tmp_path, capsys):
    out = tmp_path / "cpu.json"
    monkeypatch.setattr(gpu, "systems", lambda quick: [latent])
    monkeypatch.setattr(gpu.Diffusers, "missing", lambda peer: "it is not installed")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--quick", "--device", "cpu", "--no-tests", "--out", str(out)])
    gpu.main()
    result = json.loads(out.read_text())
    assert [each["task"] for each in result["rows"]] == list(gpu.TASKS)
    assert str(tmp_path) not in out.read_text()
    printed = capsys.readouterr().out
    assert "Stable Diffusion   sampling  diffusers                skipped: it is not installed" in printed
    assert printed.count("%") == len(gpu.TASKS)


def test_the_cuda_tests_run_in_their_own_time(monkeypatch):
    """A process that takes too long is stopped, so that it does not cost us the measurements."""
    seen = []

    def run(command, **options):
        seen.append(command)
        raise gpu.subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(gpu.subprocess, "run", run)
    found = gpu.cuda_tests(7)
    assert not found["passed"] and found["said"] == "stopped after 7 seconds"
    assert str(FIGURES.parent / "tests" / "test_device.py") in seen[0]


class TestDiffusers:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("diffusers", reason="needs diffusers, of the extra `bench`")

    def test_its_networks_have_our_size(self):
        for system in gpu.systems(quick=False):
            ours, theirs = (gpu.diffusers_networks.weights(make()) for make in (system.ours, system.theirs))
            assert abs(theirs / ours - 1) < 0.07

    @pytest.mark.parametrize("task", gpu.TASKS)
    def test_it_takes_part(self, latent, task):
        assert "pictures_per_second" in row(latent, task)["contenders"]["diffusers"]
