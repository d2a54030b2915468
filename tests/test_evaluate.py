"""`minidiffusion evaluate`: a model that copies, a perfect one, one that is neither, and bad input."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import minidiffusion as md
from minidiffusion.cli import evaluate, main

COSINE = md.schedule.cosine()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(net, about=None):
    md.save(md.Denoiser(net, COSINE, md.heads.V), "net.safetensors", about)
    return "net.safetensors"


def scores(monkeypatch, samples, *words):
    """What evaluate says of these samples, in place of those of the network."""
    monkeypatch.setattr(evaluate, "draw", lambda denoise, x_1, *rest: samples[: len(x_1)])
    return main(["evaluate", *words, "--json"])


@pytest.mark.parametrize("kind", ["copies", "perfect", "shifted"])
def test_copies_a_perfect_model_and_a_bad_one_are_told_apart(kind, monkeypatch, capsys):
    training, _ = md.datasets.load("moons")
    fresh = torch.from_numpy(md.datasets.toys.TOYS["moons"](1000, seed=5)[0])
    samples = {"copies": training[:1000], "perfect": fresh, "shifted": fresh + 1.0}[kind]
    file = saved(md.nets.MLP(2, 8, 1), {"data": "moons"})
    assert scores(monkeypatch, samples, file) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 1000 and set(found["scores"]) == {"samples", "real (floor)"}
    mine, floor = found["scores"].values()
    assert (mine["copies"] == 1) == (kind == "copies") and floor["copies"] < 0.2
    assert (mine["Frechet"] > 10 * floor["Frechet"]) == (kind == "shifted")
    assert (mine["precision"] < 0.5) == (kind == "shifted")
    # the Frechet distance of a shift by 1 in both coordinates is 2
    assert mine["Frechet"] == pytest.approx(2.0 if kind == "shifted" else 0.0, abs=0.3)


def test_pictures_stand_beside_a_floor_and_a_blur(monkeypatch, capsys):
    images, _ = md.datasets.load("fashion_mnist_6k")
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(7))[:300]
    samples = md.datasets.to_float(images[chosen])
    file = saved(md.nets.UNet(1, (16, 16), (1, 1)), {"data": "fashion_mnist_6k"})
    assert scores(monkeypatch, samples, file, "--count", "300") == 0
    found = json.loads(capsys.readouterr().out)["scores"]
    assert list(found) == ["samples", "real (floor)", "blurred (yardstick)"]
    own, floor, blurred = (row["Frechet"] for row in found.values())
    assert own == pytest.approx(floor, rel=0.25) and blurred > 1.5 * floor  # of 300, the bias is most of the floor
    assert found["samples"]["copies"] == 1.0 and found["real (floor)"]["copies"] < 0.01


def test_a_network_is_measured_against_a_folder_in_a_table(capsys):
    random = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(f"{i}.png")
    file = saved(md.nets.UNet(3, (16, 16), (1, 1)))
    assert main(["evaluate", file, "--against", ".", "--steps", "1", "--method", "ddim"]) == 0
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("12 samples, 1 steps of ddim; features: the 128 of CLIP's image encoder")
    assert head.split() == ["Frechet", "precision", "recall", "copies"]
    assert [row[:20].strip() for row in rows] == ["samples", "real (floor)", "blurred (yardstick)"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--against", "nothing"], "--against must be a folder or a data set (fashion_mnist_6k, "),
        (["--against", "moons"], "--against must have items of shape (3, 32, 32), got (2,)"),
        (["--against", "emoji64"], "--against must have items of shape (3, 32, 32), got (3, 64, 64)"),
        (["--against", "few"], "--against must have at least 20 items, got 3"),
        (["--method", "magic"], "--method must be one of ddpm, "),
        ([], "--against must be a folder or a data set"),
    ],
)
def test_bad_input_is_named(words, message, capsys, tmp_path):
    (tmp_path / "few").mkdir()
    for i in range(3):
        Image.new("RGB", (32, 32)).save(tmp_path / "few" / f"{i}.png")
    assert main(["evaluate", saved(md.nets.UNet(3, (16, 16), (1, 1))), *words]) == 2
    assert message in capsys.readouterr().err
