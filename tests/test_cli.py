"""The command line: what each command writes, and one clear line for every mistake that a user can make."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import minidiffusion as md
from minidiffusion.cli import COMMANDS, learn, main, pictures, sample, train
from minidiffusion.training import checkpoint, files
from minidiffusion.training.recipes import RECIPES, Recipe


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIDIFFUSION_DATA", raising=False)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A U-Net with ten classes and random weights, for pictures of 8x8: each label draws something else."""
    torch.manual_seed(0)
    net = md.nets.UNet(1, (32,), (1,), classes=10)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    denoiser = md.Denoiser(net, md.schedule.cosine(), md.heads.V)
    checkpoint.save(denoiser, path, {"data": "fashion_mnist", "shape": [1, 8, 8]})
    return str(path)


@pytest.fixture
def tiny(monkeypatch):
    """A recipe like the default one, and a hundred times smaller."""
    sizes = dict(channels=1, widths=(16, 16, 32), blocks=(1, 1, 1), classes=10)
    recipe = dataclasses.replace(RECIPES["fashion_mnist_6k"], name="tiny", sizes=sizes, batch_size=4)
    monkeypatch.setitem(RECIPES, "tiny", recipe)


def there() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


def drawn(*words: str) -> bytes:
    assert main(["sample", *words, "--out", "out.png"]) == 0
    return Path("out.png").read_bytes()


# sample


def test_sample_writes_a_png_prints_its_path_and_leaves_nothing_else(model, capsys):
    assert main(["sample", "--checkpoint", model, "--steps", "2"]) == 0
    assert capsys.readouterr().out == "samples.png\n"
    assert there() == {"samples.png"}
    # 64 pictures of ten classes: ten rows, seven columns; 8x8 pixels and gaps of 2, four times as large
    assert Image.open("samples.png").size == (4 * (7 * 10 - 2), 4 * (10 * 10 - 2))


@pytest.mark.parametrize("method", md.samplers.METHODS)
def test_the_same_seed_gives_the_same_file_and_another_seed_another(model, method):
    words = ("--checkpoint", model, "--steps", "2", "--count", "3", "--method", method)
    assert drawn(*words, "--seed", "7") == drawn(*words, "--seed", "7")
    assert drawn(*words, "--seed", "7") != drawn(*words, "--seed", "8")


def test_a_network_says_how_it_wants_to_be_drawn_from(model):
    denoise = md.load(model)
    about = {"shape": [1, 8, 8], "draw": {"method": "consistency", "steps": 2}}
    md.save(denoise, "few.safetensors", about)
    words = ("--checkpoint", "few.safetensors", "--count", "3")
    assert drawn(*words) == drawn(*words, "--steps", "2", "--method", "consistency")
    assert drawn(*words, "--steps", "1") == drawn(*words, "--steps", "1", "--method", "consistency") != drawn(*words)
    assert drawn(*words, "--method", "ddim") != drawn(*words)


def test_a_picture_does_not_depend_on_how_many_are_drawn_at_once(model, monkeypatch):
    words = ("--checkpoint", model, "--steps", "2", "--count", "5", "--label", "2")
    whole = drawn(*words)
    monkeypatch.setattr(pictures, "BATCH", 2)
    apart = drawn(*words)
    Path("whole.png").write_bytes(whole)
    difference = np.asarray(Image.open("whole.png"), int) - np.asarray(Image.open("out.png"), int)
    assert abs(difference).max() <= 1, len(apart)


def test_a_label_is_a_name_in_any_case_or_a_number(model):
    words = ("--checkpoint", model, "--steps", "2", "--count", "2", "--label")
    trousers = drawn(*words, "trouser")
    assert trousers == drawn(*words, "Trouser") == drawn(*words, "1")
    assert trousers != drawn(*words, "dress")


def test_without_a_label_the_classes_take_turns(model):
    """The first picture of class 3 is the fourth that is drawn: alone in its row, it is the same picture."""
    denoise = md.load(model)
    x_1 = md.prior((4, 1, 8, 8), denoise.schedule, torch.Generator().manual_seed(0))
    with md.training.device.autocast(x_1.device):
        x0 = md.sample(denoise, x_1, steps=2, method="ddim", cond=torch.arange(4))
    drawn("--checkpoint", model, "--steps", "2", "--count", "4", "--method", "ddim")
    pixels = np.asarray(Image.open("out.png"))[::4, ::4, 0]
    expected = md.datasets.to_uint8(x0)[:, 0].numpy()
    for row in range(4):
        assert (pixels[10 * row : 10 * row + 8, :8] == expected[row]).all()


def test_a_sheet_of_classes_has_a_row_for_each_and_white_where_pictures_run_out():
    greys = torch.tensor([-1.0, -0.5, 0.0])
    x0 = greys.repeat(3)[:7, None, None, None].expand(-1, 1, 2, 2)  # seven pictures, three classes in turn
    pictures.write_sheet(Path("sheet.png"), x0, classes=3)
    centres = np.asarray(Image.open("sheet.png"))[4::16, 4::16, 0]
    assert centres.tolist() == [[0, 0, 0], [64, 64, 255], [128, 128, 255]]


@pytest.mark.parametrize(
    "about, config, shape",
    [
        ({"shape": [1, 8, 8]}, {"channels": 1, "widths": [32, 64]}, (1, 8, 8)),
        ({}, {"channels": 1, "widths": [32, 64, 128]}, (1, 28, 28)),
        ({}, {"channels": 3, "widths": [32, 64, 128]}, (3, 32, 32)),
    ],
)
def test_the_shape_of_a_picture_is_written_down_or_that_of_the_sets_here(about, config, shape):
    assert sample.item_shape({"network": "UNet", "config": config, "about": about}) == shape


# train


@pytest.mark.filterwarnings("error")
def test_three_steps_of_training_leave_pictures_and_a_network_to_sample_from(tiny, capsys):
    assert main(["train", "tiny", "--steps", "3", "--seed", "4", "--device", "cpu"]) == 0
    folder = Path("minidiffusion-tiny")
    out, err = capsys.readouterr()
    assert out.strip() == str(folder / "model.safetensors")
    assert [line.split(", loss")[0] for line in err.splitlines()] == [f"tiny: step {i} of 3" for i in (1, 2, 3)]
    names = [".lock", "MODEL_CARD.md", "loss.csv", "model.safetensors", "samples.png", "training.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    header, *rows = (folder / "loss.csv").read_text().splitlines()
    assert header == "step,loss,gradient_norm" and [row.split(",")[0] for row in rows] == ["1", "2", "3"]
    assert all(float(number) > 0 for row in rows for number in row.split(","))
    about = checkpoint.read_header(folder / "model.safetensors")["about"]
    expected = {"recipe": "tiny", "data": "fashion_mnist_6k", "shape": [1, 28, 28], "seed": 4, "steps": 3}
    assert expected.items() <= about.items()
    assert about["torch"] == torch.__version__ and about["minidiffusion"] == md.__version__
    drawn("--checkpoint", str(folder / "model.safetensors"), "--steps", "1", "--count", "2", "--label", "bag")
    card = (folder / "MODEL_CARD.md").read_text()
    for word in ("MIT, Zalando SE", "3 of 3 steps, seed 4", "recipe tiny", f"PyTorch {torch.__version__}", "Head:** v"):
        assert word in card
    assert "minidiffusion sample --checkpoint model.safetensors" in card


def test_points_are_trained_and_drawn_too_and_a_seed_repeats_the_training():
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["train", "moons", "--steps", "2", "--seed", seed, "--out", folder]) == 0
    a, b, c = (md.load(f"{folder}/model.safetensors").net.first.weight for folder in "abc")
    assert torch.equal(a, b) and not torch.equal(a, c)
    a, b, c = (Path(folder, "samples.png").read_bytes() for folder in "abc")
    assert a == b != c
    drawn("--checkpoint", "a/model.safetensors", "--steps", "1")


def test_a_seed_decides_the_batches_too(monkeypatch):
    first_weights = Recipe.denoiser
    monkeypatch.setattr(Recipe, "denoiser", lambda recipe, seed: first_weights(recipe, 0))
    for folder, seed in (("a", "1"), ("b", "2")):
        assert main(["train", "moons", "--steps", "1", "--seed", seed, "--out", folder]) == 0
    a, b = (md.load(f"{folder}/model.safetensors").net.first.weight for folder in "ab")
    assert not torch.equal(a, b)


def test_a_seed_decides_the_first_weights(monkeypatch):
    first_weights, seeds = Recipe.denoiser, []
    monkeypatch.setattr(Recipe, "denoiser", lambda recipe, seed: seeds.append(seed) or first_weights(recipe, seed))
    assert main(["train", "moons", "--steps", "1", "--seed", "7"]) == 0
    assert seeds == [7]


def test_one_picture_is_replaced_as_the_training_goes_and_is_whole_whenever_somebody_looks(monkeypatch):
    write, seen = train.write_sheet, []

    def look(path, *rest):
        before = path.read_bytes() if path.exists() else None
        write(path, *rest)
        seen.append((path.name, before, path.read_bytes()))
        Image.open(path).verify()

    monkeypatch.setattr(train, "write_sheet", look)
    assert main(["train", "moons", "--steps", "11", "--out", "run"]) == 0
    names, before, after = zip(*seen, strict=True)
    assert [path.name for path in Path("run").glob("*.png")] == ["samples.png"]
    assert set(names) == {"samples.png"} and len(seen) == 6  # after steps 2, 4, 6, 8, 10 and the last
    assert before == (None, *after[:-1]) and len(set(after)) == 6


# learn


@pytest.fixture
def lessons(tmp_path_factory, monkeypatch):
    """A folder of lessons, and a JupyterLab that only notes how it was started."""
    source = tmp_path_factory.mktemp("lessons")
    for name in ("00_a.ipynb", "01_b.ipynb", "README.md", "start.ipynb", "conftest.py", "solutions/00.ipynb"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(f"shipped {name}")
    for name in ("execute.py", "__pycache__/x.pyc", ".ipynb_checkpoints/00_a.ipynb"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("not a lesson")
    monkeypatch.setattr(learn, "lessons", lambda: source)
    started = []

    class Process:
        def __init__(self, command, cwd):
            started.append((command, cwd))

        def wait(self):
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    return started


def test_learn_copies_the_lessons_and_opens_jupyter_there(lessons, capsys):
    assert main(["learn", "mine", "--no-browser", "--port", "9999"]) == 0
    names = {"00_a.ipynb", "01_b.ipynb", "README.md", "start.ipynb"}  # neither solutions nor what teachers need
    assert there() == {"mine", *(f"mine/{name}" for name in names)}
    assert "4 files copied, 0 kept" in capsys.readouterr().out
    ((command, cwd),) = lessons
    assert command[:3] == [sys.executable, "-m", "jupyterlab"] and cwd == Path("mine")
    assert {"--no-browser", "--port=9999", "--LabApp.default_url=/lab/tree/start.ipynb"} <= set(command)


def test_learn_never_changes_a_file_that_is_there(lessons, capsys):
    main(["learn"])
    folder = Path("minidiffusion-lessons")
    (folder / "01_b.ipynb").write_text("what a student wrote")
    (folder / "README.md").unlink()
    capsys.readouterr()
    assert main(["learn"]) == 0
    out = capsys.readouterr().out
    assert (folder / "01_b.ipynb").read_text() == "what a student wrote"
    assert (folder / "README.md").read_text() == "shipped README.md"
    assert "1 files copied, 3 kept" in out
    assert "01_b.ipynb" in out and "00_a.ipynb" not in out
    assert "--no-browser" not in lessons[-1][0]


def test_learn_keeps_a_broken_link_and_a_folder_that_are_named_like_a_lesson(lessons, capsys):
    folder = Path("minidiffusion-lessons")
    (folder / "00_a.ipynb").mkdir(parents=True)
    (folder / "01_b.ipynb").symlink_to("nowhere")
    assert main(["learn"]) == 0
    out = capsys.readouterr().out
    assert "2 files copied, 2 kept" in out
    assert "00_a.ipynb, 01_b.ipynb" in out and (folder / "01_b.ipynb").is_symlink()


def test_without_jupyterlab_learn_says_how_to_install_it(lessons, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["learn"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "minidiffusion[lessons]"' in line
    assert Path("minidiffusion-lessons/00_a.ipynb").exists() and not lessons


def test_ctrl_c_ends_jupyterlab_without_a_word(lessons, monkeypatch, capsys):
    ended = []

    class Process:
        def __init__(self, command, cwd):
            self.waits = 0

        def wait(self):
            self.waits += 1
            if self.waits == 1:
                raise KeyboardInterrupt

        def terminate(self):
            ended.append(True)

    monkeypatch.setattr(subprocess, "Popen", Process)
    assert main(["learn"]) == 0
    assert ended and capsys.readouterr().err == ""


# handout


def test_a_handout_has_no_outputs_and_no_solutions_for_students(tmp_path, capsys):
    assert main(["handout", str(tmp_path / "course")]) == 0
    students, teacher = tmp_path / "course" / "students", tmp_path / "course" / "teacher"
    source = learn.lessons()
    names = {path.name for path in source.glob("*.ipynb")}
    assert {path.name for path in students.glob("*.ipynb")} == names == {path.name for path in teacher.glob("*.ipynb")}
    assert not (students / "solutions").exists() and not (students / "conftest.py").exists()
    assert (teacher / "TEACHING.md").exists() and (teacher / "solutions" / "00_draw_something.ipynb").exists()
    for name in names:
        clean, original = ((folder / name).read_text(encoding="utf-8") for folder in (students, source))
        cells = json.loads(clean)["cells"]
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if "outputs" in cell)
        assert "Solution</summary>" not in clean and "solutions/" not in clean
        assert clean.count('check(\\"') == original.count('check(\\"')  # every exercise is still there
        assert clean.count("<summary>Hint") == original.count("<summary>Hint")
    assert (teacher / "00_draw_something.ipynb").read_bytes() == (source / "00_draw_something.ipynb").read_bytes()


def test_a_handout_overwrites_nothing(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("what a teacher wrote")
    assert main(["handout", str(tmp_path)]) == 2
    assert "must be a new or empty folder" in capsys.readouterr().err and len(list(tmp_path.iterdir())) == 1


# doctor


def test_doctor_says_the_same_in_a_table_and_in_json(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["torch"] == torch.__version__ and facts["minidiffusion"] == md.__version__
    assert facts["embedded_sets"] == ["fashion_mnist_6k", "emoji32", "emoji64"]
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, value in facts.items():
        shown = {"": value} if not isinstance(value, dict) else value
        for key, item in shown.items():
            text = ", ".join(map(str, item)) if isinstance(item, list) else item
            text = f"{item:,}" if isinstance(item, int) else text
            said = f"{name} {key} {'none' if text in (None, '') else text}".split()
            assert said in [line.split() for line in lines]


def test_doctor_reports_what_is_broken_and_ends_well(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MINIDIFFUSION_DATA", str(tmp_path / "nowhere"))
    Path("broken.safetensors").write_bytes(b"no")
    monkeypatch.setattr("minidiffusion.cli.doctor.SHIPPED", Path("broken.safetensors"))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "nowhere (there is no such folder)" in out and "broken.safetensors is not" in out


def costs(model: str, capsys) -> dict:
    assert main(["doctor", "--model", model, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", [*RECIPES, "unet-small", "dit-small"])
def test_doctor_counts_the_weights_of_every_network_that_has_a_name(name, capsys):
    said = costs(name, capsys)
    network, size = name.split("-") if "-" in name else ("", "")
    if size:
        net = {"unet": md.nets.UNet, "dit": md.nets.DiT}[network](**md.nets.SIZES[said["network"]][size])
    else:
        net = RECIPES[name].denoiser().net
    count = sum(p.numel() for p in net.parameters())
    assert said["parameters"] == count and said["config"] == net.config
    assert said["bytes"]["weights"] == 4 * count
    assert main(["doctor", "--model", name]) == 0
    assert f"parameters {count:,}".split() in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_doctor_costs_a_checkpoint_of_any_network(model, capsys):
    assert costs(model, capsys)["shape"] == [1, 8, 8]
    net = md.nets.DiT(channels=3, patch=8, width=64, depth=1)
    checkpoint.save(md.Denoiser(net, md.schedule.flow(), md.heads.X0), "dit.safetensors")
    said = costs("dit.safetensors", capsys)
    assert (said["network"], said["shape"], said["config"]) == ("DiT", [3, 32, 32], net.config)


def test_doctor_counts_flops_as_by_hand(capsys):
    w = 128  # the products of a matrix with a vector, entry by entry; each multiply-add is two
    time, depth, tokens, pixels = 2 * w * w, 6, 49, 16
    block = 6 * w * w + tokens * (3 * w * w + w * w + 8 * w * w) + 2 * tokens * tokens * w
    dit = time + tokens * pixels * w + depth * block + 2 * w * w + tokens * w * pixels
    assert costs("dit-small", capsys)["flops_per_image"] == 2 * dit
    assert costs("moons", capsys)["flops_per_image"] == 2 * (time + 2 * w + 3 * 2 * w * w + w * 2)

    # a U-Net of one level: 28 * 28 places, each convolution's kernel at each of them
    net, places = md.nets.UNet(1, (32,), (1,)), 28 * 28
    checkpoint.save(md.Denoiser(net, md.schedule.cosine(), md.heads.V), "unet.safetensors")
    ends, block, attention = 2 * 9 * 32, 2 * 9 * 32 * 32, 4 * 32 * 32 + 2 * places * 32
    unet = 2 * w * w + places * (ends + 2 * block + 2 * attention) + 2 * w * 64
    assert costs("unet.safetensors", capsys)["flops_per_image"] == 2 * unet


def test_doctor_counts_the_memory_of_training_as_by_hand(capsys):
    # float32 of (128, 128): time has 4 (waves, and around each function), each of 3 layers 3, the last 2; and x
    kept = (4 + 3 * 3 + 2) * 128 * 128 + 128 * 2
    said = costs("moons", capsys)
    assert said["bytes"]["training"] == 4 * (5 * said["parameters"] + kept)


# what can be typed wrong


def fails(words: list[str], capsys) -> str:
    """The one line that `words` end with; nothing was written."""
    before = there()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and there() == before
    (line,) = err.splitlines()
    assert line.startswith("minidiffusion: error: ")
    return line


@pytest.mark.parametrize(
    "words, expected",
    [
        ("smaple", ["command", "'smaple'", "did you mean sample?"]),
        ("--nonsense", ["--nonsense"]),
        ("sample --nonsense", ["--nonsense"]),
        ("sample stray", ["stray"]),
        ("sample --steps", ["--steps"]),
        ("sample --steps 0", ["--steps", "'0'"]),
        ("sample --steps many", ["--steps", "'many'"]),
        ("sample --steps 1000000000000", ["--steps", "from 1 to 10000"]),
        ("sample --count 0", ["--count", "'0'"]),
        ("sample --count -3", ["--count", "'-3'"]),
        ("sample --count 2.5", ["--count", "'2.5'"]),
        ("sample --count 1000000000000", ["--count", "from 1 to 10000"]),
        ("sample --seed -1", ["--seed", "'-1'"]),
        ("sample --seed 99999999999999999999", ["--seed"]),
        ("sample --checkpoint MODEL --method dpmp_2m", ["--method", "'dpmp_2m'", "did you mean dpmpp_2m?"]),
        ("sample --checkpoint MODEL --label trowser", ["--label", "'trowser'", "did you mean trouser?"]),
        ("sample --checkpoint MODEL --label 10", ["--label", "'10'"]),
        ("sample --checkpoint MODEL --label -1", ["--label"]),
        ("sample --checkpoint nowhere.safetensors", ["--checkpoint", "nowhere.safetensors"]),
        ("sample --checkpoint .", ["--checkpoint"]),
        ("sample --checkpoint MODEL --out picture.jpg", ["--out", ".png", "picture.jpg"]),
        ("sample --checkpoint MODEL --out nowhere/x.png", ["--out", "no folder nowhere"]),
        ("sample --checkpoint MODEL --out file/x.png", ["--out", "no folder file"]),
        ("sample --checkpoint MODEL --out folder.png", ["--out", "folder.png is a folder"]),
        (f"sample --checkpoint MODEL --out {'x' * 250}.png", ["--out", "too long"]),
        ("train moon", ["RECIPE", "'moon'", "did you mean moons?"]),
        ("train moons --steps 0", ["--steps", "'0'"]),
        ("train moons --steps some", ["--steps", "'some'"]),
        ("train moons --seed x", ["--seed", "'x'"]),
        ("train moons --device qpu", ["device", "'qpu'"]),
        ("train moons --out file", ["--out", "'file'"]),
        ("train moons --out file/below", ["--out", "file is a file"]),
        ("train moons --out folder.png", ["--out", "model.safetensors"]),
        ("learn file", ["DIR", "'file'"]),
        ("learn file/below", ["DIR", "file is a file"]),
        ("learn --port 0", ["--port", "'0'"]),
        ("learn --port 65536", ["--port", "65536"]),
        ("learn --port http", ["--port", "'http'"]),
        ("doctor --yaml", ["--yaml"]),
        ("doctor --model dit-smal", ["--model", "'dit-smal'", "did you mean dit-small"]),
        ("doctor --model file", ["--model", "file is not"]),
        ("doctor --model file/below", ["--model", "'file/below'"]),
    ],
)
def test_bad_input_ends_with_one_line_that_names_it(words, expected, model, lessons, capsys):
    Path("file").write_text("a file")
    Path("folder.png").mkdir()
    Path("folder.png", "model.safetensors").write_text("trained for hours")
    line = fails([model if word == "MODEL" else word for word in words.split()], capsys)
    assert all(part in line for part in expected), line
    assert not lessons


SIZES = '{"channels": 1, "widths": [32], "blocks": [1], "classes": 0}'
HEADER = {"format": checkpoint.FORMAT, "network": "UNet", "config": SIZES, "head": "v"}
HEADER |= {"schedule": '{"name": "cosine"}', "about": "{}"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        {"format": "another"},
        HEADER,  # whole, but its weights are missing
        {**HEADER, "config": SIZES.replace("32", "8")},
        {**HEADER, "config": "[]"},
        {**HEADER, "config": '{"channels": "x"}'},
        {**HEADER, "config": "{}", "network": "Oracle"},
        {**HEADER, "config": "{}", "head": "tail"},
        {**HEADER, "config": "{}", "schedule": '"cosine"'},
        {**HEADER, "config": "{}", "schedule": '{"name": "cosinus"}'},
        {**HEADER, "config": "{}", "about": "3"},
        {**HEADER, "config": "{}", "about": '{"shape": 3}'},
    ],
)
def test_a_broken_checkpoint_is_one_line(header, capsys):
    if header is None:
        Path("broken.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    else:
        save_file({"weight": torch.zeros(1)}, "broken.safetensors", header)
    assert "--checkpoint" in fails(["sample", "--checkpoint", "broken.safetensors"], capsys)


@pytest.mark.parametrize("shape", [[3, 8, 8], [1, 0, 8], [1, 2, 10**5], [1, 8], [1, 7, 8], "ab", [1, "8", 8]])
def test_a_checkpoint_of_pictures_that_cannot_be_drawn_is_one_line(shape, model, capsys):
    denoiser = md.Denoiser(md.nets.UNet(1, (32, 32), (1, 1)), md.schedule.cosine(), md.heads.V)
    checkpoint.save(denoiser, "odd.safetensors", {"shape": shape})
    assert "--checkpoint" in fails(["sample", "--checkpoint", "odd.safetensors"], capsys)


@pytest.mark.parametrize("draw", ["x", 3, ["ddim", 2], {"steps": "two"}, {"steps": 10**9}, {"method": "dpm"}])
def test_a_checkpoint_that_recommends_nonsense_is_one_line(draw, model, capsys):
    checkpoint.save(md.load(model), "odd.safetensors", {"shape": [1, 8, 8], "draw": draw})
    line = fails(["sample", "--checkpoint", "odd.safetensors"], capsys)
    assert "--checkpoint" in line and "in its header" in line


@pytest.mark.parametrize(
    "words",
    [
        ["WORD"],
        ["sample", "--WORD"],
        ["sample", "--checkpoint", "WORD"],
        ["sample", "--method", "WORD"],
        ["sample", "--steps", "WORD"],
        ["sample", "--out", "WORD"],
        ["sample", "--out", "WORD.png"],
        ["train", "WORD"],
        ["train", "--out", "WORD"],
        ["learn", "WORD"],
        ["grade", "WORD"],
        ["doctor", "--model", "WORD"],
    ],
)
def test_a_name_of_a_megabyte_is_not_printed_in_full(words, lessons, capsys):
    line = fails([word.replace("WORD", "x" * 10**6) for word in words], capsys)
    assert len(line) < 2100


def test_control_characters_do_not_reach_the_terminal(capsys):
    assert "\x1b" not in fails(["sample", "--checkpoint", "\x1b[2Jnowhere.safetensors"], capsys)


def test_a_label_for_a_network_without_labels_is_one_line(capsys):
    denoiser = md.Denoiser(md.nets.MLP(2, 8, 1), md.schedule.cosine(), md.heads.V)
    checkpoint.save(denoiser, "points.safetensors")
    assert "--label" in fails(["sample", "--checkpoint", "points.safetensors", "--label", "1"], capsys)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("words", ["sample --out shut/x.png", "train moons --out shut/run", "learn shut/mine"])
def test_a_folder_without_permission_is_one_line_before_any_work(words, lessons, capsys):
    Path("shut").mkdir(mode=0o500)
    assert "shut" in fails(words.split(), capsys)


def test_a_full_disk_is_one_line_and_leaves_nothing(model, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("samples.png").write_text("the picture before")
    monkeypatch.setattr(files.os, "fsync", full)
    line = fails(["sample", "--checkpoint", model, "--steps", "1", "--count", "1"], capsys)
    assert "samples.png" in line and "No space left on device" in line
    assert Path("samples.png").read_text() == "the picture before"


def test_ctrl_c_while_sampling_is_one_line_and_leaves_nothing(model, monkeypatch, capsys):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "draw", stopped)
    assert main(["sample", "--checkpoint", model]) == 130
    assert capsys.readouterr().err == "minidiffusion: stopped\n" and not there()


def test_an_input_below_a_mistake_in_the_library_is_not_hidden(monkeypatch):
    """Only what a user can cause becomes one line; a defect of ours keeps its traceback."""
    monkeypatch.setattr(COMMANDS["doctor"], "facts", lambda: {}["missing"])
    with pytest.raises(KeyError):
        main(["doctor"])


# help, and the command as a process


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"\n  minidiffusion {command}" in capsys.readouterr().out


def run(*words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(md.__file__).parents[1])}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)


def test_it_runs_as_a_module_and_says_its_version():
    result = run("-m", "minidiffusion", "--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"minidiffusion {md.__version__}\n", "")


def test_a_mistake_ends_the_process_with_2_and_one_line(model):
    result = run("-m", "minidiffusion", "sample", "--checkpoint", model, "--method", "x")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("minidiffusion: error: --method") and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "network, config",
    [
        ("MLP", {"dimension": "2"}),
        ("UNet", {"channels": 1, "widths": 5}),
        ("UNet", {"channels": 1, "widths": None}),
        ("UNet", {"channels": 1, "widths": []}),
        ("DiT", {"channels": 1, "patch": 0}),
        ("DiT", {"channels": 1, "patch": "4"}),
    ],
)
def test_a_header_with_odd_sizes_is_one_error(network, config):
    with pytest.raises(ValueError, match="cannot be shown"):
        sample.item_shape({"network": network, "config": config, "about": {"shape": [1, 28, 28]}})
