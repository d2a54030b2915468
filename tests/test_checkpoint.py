"""A checkpoint is the same denoiser again, or one clear error; and a file is whole or not there."""

import contextlib
import json
import math
import os
import random
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import minidiffusion as md
from minidiffusion.training import checkpoint

ABOUT = {"recipe": "a test", "seed": 3, "quality": {"fd": 1.5}, "note": "naïve — ünïcode", "list": [1, None, True]}


def small(net=None, schedule=None, head=md.heads.V):
    torch.manual_seed(0)
    net = net if net is not None else md.nets.MLP(2, 16, 1, classes=3)
    denoiser = md.Denoiser(net, schedule or md.schedule.cosine(), head)
    with torch.no_grad():
        for parameter in net.parameters():  # zero layers too
            parameter.normal_(std=0.3)
    return denoiser


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a good checkpoint."""
    path = tmp_path_factory.mktemp("whole") / "model.safetensors"
    md.save(small(), path, about=ABOUT)
    return path.read_bytes()


# Round trips


@pytest.mark.parametrize("head", md.heads.HEADS.values(), ids=lambda head: head.name)
def test_float32_comes_back_exactly(tmp_path, schedule, head):
    denoiser, path = small(schedule=schedule, head=head), tmp_path / "model.safetensors"
    md.save(denoiser, path)
    again = md.load(path)
    assert again.schedule == schedule and again.head is head
    assert again.net.config == denoiser.net.config
    x_t, t, cond = torch.randn(3, 2), torch.tensor([0.2, 0.5, 0.8]), torch.tensor([0, 2, 3])
    assert torch.equal(again(x_t, t, cond), denoiser(x_t, t, cond))


def test_a_unet_comes_back_ready_to_sample(tmp_path):
    denoiser = small(md.nets.UNet(3, (16, 32), (1, 2), classes=2))
    md.save(denoiser.train(), tmp_path / "model.safetensors")
    again = md.load(str(tmp_path / "model.safetensors"))
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    state, old = again.state_dict(), denoiser.state_dict()
    assert state.keys() == old.keys() and all(torch.equal(state[k], old[k]) for k in old)


@pytest.mark.parametrize("dtype, digits", [(torch.float16, 11), (torch.bfloat16, 8)])
def test_half_precision_halves_the_file_and_keeps_its_digits(tmp_path, dtype, digits):
    denoiser = small()
    md.save(denoiser, tmp_path / "whole")
    md.save(denoiser, tmp_path / "half", dtype=dtype)
    weights, old = md.load(tmp_path / "half").state_dict(), denoiser.state_dict()
    for name, value in weights.items():
        assert value.dtype == torch.float32
        assert ((value - old[name]).abs() <= old[name].abs() * 2.0**-digits + 1e-7).all()
        assert torch.equal(value, old[name].to(dtype).float())
    sizes = {name: (tmp_path / name).stat().st_size for name in ("whole", "half")}
    numbers = sum(v.numel() for v in old.values())
    assert sizes["whole"] - sizes["half"] == pytest.approx(2 * numbers, abs=100)


def test_one_byte_a_weight_moves_none_by_more_than_half_a_step(tmp_path):
    denoiser = small(md.nets.UNet(3, (16, 32), (1, 1)))
    with torch.no_grad():
        denoiser.net.first.weight[0] = 0.0  # a row without a scale
    for name, dtype in (("whole", None), ("packed", torch.int8), ("again", torch.int8)):
        md.save(md.load(tmp_path / "packed") if name == "again" else denoiser, tmp_path / name, dtype=dtype)
    weights, old = md.load(tmp_path / "packed").net.state_dict(), denoiser.net.state_dict()
    for name, value in old.items():
        if value.ndim < 2:
            assert torch.equal(weights[name], value.half().float())
            continue
        difference, largest = (x.flatten(1).abs().amax(1) for x in (weights[name] - value, value))
        assert (difference <= largest / 127 * (0.5 + 1e-4)).all(), name
        assert torch.allclose(weights[name].flatten(1).abs().amax(1), largest, rtol=1e-6, atol=0)
    sizes = {name: (tmp_path / name).stat().st_size for name in ("whole", "packed")}
    bytes_each = [(1 if v.ndim > 1 else 2) * v.numel() + (4 * len(v) if v.ndim > 1 else 0) for v in old.values()]
    assert sum(bytes_each) < sizes["packed"] < sum(bytes_each) + 12_000 < sizes["whole"] / 2.5  # and a header
    assert (tmp_path / "again").read_bytes() == (tmp_path / "packed").read_bytes()


def test_packed_weights_without_their_scales_are_named(tmp_path):
    md.save(small(), tmp_path / "packed", dtype=torch.int8)
    header, stored = checkpoint._whole(tmp_path / "packed", checkpoint.FORMAT)
    del header["sha256"], header["format"]
    scales = [name for name in stored if name.endswith(checkpoint.SCALE)]
    for wrong in (
        {name: value for name, value in stored.items() if name != scales[0]},  # whole numbers are no weights
        stored | {scales[0]: torch.ones(1)},
        stored | {scales[0]: torch.ones(1, 10**6)},  # would multiply to something large
        stored | {"other" + checkpoint.SCALE: torch.ones(3)},
    ):
        checkpoint._write(tmp_path / "broken", checkpoint.FORMAT, header, wrong)
        with pytest.raises(ValueError, match="path must be a whole minidiffusion checkpoint"):
            md.load(tmp_path / "broken")


def test_what_was_written_down_is_read_back(tmp_path):
    path = tmp_path / "model.safetensors"
    md.save(small(), path, about=ABOUT)
    header = checkpoint.read_header(path)
    assert header["about"] == ABOUT
    assert header["network"] == "MLP" and header["head"] == "v" and header["schedule"] == {"name": "cosine"}
    assert {"dimension": 2, "width": 16, "depth": 1, "classes": 3}.items() <= header["config"].items()
    assert header == as_written(path)  # and a person can read it: it is JSON at the head of the file
    assert header["format"] == checkpoint.FORMAT
    md.save(small(), path)
    assert checkpoint.read_header(path)["about"] == {}


# Files that are no checkpoint


def load_or_clear_error(path):
    """The denoiser, or None after one of the two errors that `load` documents, with the path in it."""
    try:
        return md.load(path)
    except (ValueError, FileNotFoundError) as error:
        assert str(path) in str(error) and "path must" in str(error)
        return None


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path, tmp_path / "no folder" / "x"):
        with pytest.raises(FileNotFoundError, match="path must"):
            md.load(path)
        assert load_or_clear_error(path) is None


def test_foreign_and_pickled_files_are_named(tmp_path):
    for number, content in enumerate((b"", b"\0" * 8, b"\xff" * 64, b"{}", b"just some text\n" * 50)):
        (tmp_path / str(number)).write_bytes(content)
    save_file({"weight": torch.ones(3)}, tmp_path / "foreign.safetensors")
    save_file({"weight": torch.ones(3)}, tmp_path / "later.safetensors", {"format": "minidiffusion 99"})
    torch.save(small().state_dict(), tmp_path / "model.pt")
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match="path must"):
            md.load(path)


GOOD = {
    "format": checkpoint.FORMAT,
    "network": "MLP",
    "config": '{"dimension": 2, "width": 16, "depth": 1, "classes": 0}',
    "schedule": '{"name": "flow"}',
    "head": "v",
    "about": "{}",
}


def written(weights, path, header):
    """Write a file in the format of version 0.2, and then, if each text of the header is JSON, in that of today."""
    yield save_file(weights, path, header)
    with contextlib.suppress(ValueError):
        parts = {key: json.loads(text) if key in checkpoint.NESTED else text for key, text in header.items()}
        yield save_file(weights, path, {"minidiffusion": json.dumps({"sha256": "", **parts})})


@pytest.mark.parametrize(
    "key, value",
    [
        ("format", "minidiffusion 99"),
        ("format", None),
        ("network", "ResNet"),
        ("network", None),
        ("config", "[]"),
        ("config", "{}"),
        ("config", '{"width": -3}'),
        ("config", '{"width": "wide"}'),
        ("config", '{"colour": "red"}'),
        ("config", "null"),
        ("config", "not JSON"),
        ("schedule", "[]"),
        ("schedule", '"flow"'),
        ("schedule", '{"name": "none"}'),
        ("schedule", '{"name": "from_betas"}'),
        ("schedule", '{"name": "from_betas", "betas": "ab"}'),
        ("schedule", '{"name": "zero_terminal_snr", "schedule": 3}'),
        ("head", "w"),
        ("about", "{"),
        ("about", None),
    ],
)
def test_a_header_that_makes_no_denoiser_is_named(tmp_path, key, value):
    path = tmp_path / "model.safetensors"
    weights = md.nets.MLP(2, 16, 1).state_dict()
    for _ in written(weights, path, GOOD):
        assert md.load(path).schedule == md.schedule.flow()
    for _ in written(weights, path, {k: v for k, v in {**GOOD, key: value}.items() if v is not None}):
        with pytest.raises(ValueError, match="path must"):
            md.load(path)


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    weights = md.nets.MLP(2, 16, 1).state_dict()
    for wrong in ({k: v for k, v in list(weights.items())[1:]}, {**weights, "more": torch.ones(1)}, {}):
        save_file(wrong, path, GOOD)
        with pytest.raises(ValueError, match="path must"):
            md.load(path)
    save_file({k: torch.zeros(v.numel()) for k, v in weights.items()}, path, GOOD)
    with pytest.raises(ValueError, match="path must"):
        md.load(path)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_named(tmp_path, broken):
    net = md.nets.MLP(2, 16, 1)
    net.first.weight.data[1, 0] = broken
    md.save(md.Denoiser(net, md.schedule.cosine(), md.heads.V), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model.safetensors.*finite.*first.weight"):
        md.load(tmp_path / "model.safetensors")


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_named(whole, tmp_path_factory, share):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(whole[: int(share * len(whole))])
    assert load_or_clear_error(path) is None


def mutated(whole: bytes, draw: random.Random) -> bytes:
    """Bits flipped, bytes overwritten, or a piece cut out, doubled or cut off: half of it in the header."""
    length = 8 + int.from_bytes(whole[:8], "little")
    end = draw.choice([length, len(whole)])
    broken = bytearray(whole)
    start = draw.randrange(end)
    stop = min(len(whole), start + draw.randrange(1, 9))
    match draw.randrange(5):
        case 0:
            broken[start] ^= 1 << draw.randrange(8)
        case 1:
            broken[start:stop] = draw.randbytes(stop - start)
        case 2:
            del broken[start:stop]
        case 3:
            broken[start:start] = broken[start:stop]
        case 4:
            del broken[start:]
    return bytes(broken)


@pytest.mark.parametrize("content", ["a denoiser", "a training"])
def test_a_thousand_mutations_are_a_thousand_clear_errors(whole, whole_training, tmp_path, content):
    path, draw = tmp_path / "broken.safetensors", random.Random(1)
    content, load = (whole, md.load) if content == "a denoiser" else (whole_training, checkpoint.load_training)
    for number in range(1000):
        broken = mutated(content, draw)
        if broken == content:  # a byte overwritten with itself
            continue
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="path must be a whole minidiffusion checkpoint") as error:
            load(path)
        assert str(path) in str(error.value), number


def test_a_file_of_version_0_2_is_read_and_its_mutations_are_refused(tmp_path):
    old = Path(__file__).parent / "data" / "version_0_2.safetensors"
    header, denoise = checkpoint.read_header(old), md.load(old)
    assert header["about"] == {"recipe": "a test", "seed": 3, "note": ABOUT["note"]}
    assert header["config"]["width"] == denoise.net.config["width"] == 8
    state = denoise.net.state_dict()
    assert all(torch.equal(state[name], value.float()) for name, value in load_file(old).items())
    output = denoise(torch.tensor([[0.5, -1.0]]), 0.5, torch.tensor([1]))
    assert output[0].tolist() == pytest.approx([0.4951, -0.3065], abs=1e-4)  # from the version that wrote it

    path, draw, whole = tmp_path / "broken.safetensors", random.Random(2), old.read_bytes()
    for _ in range(300):
        broken = mutated(whole, draw)
        path.write_bytes(broken)
        assert load_or_clear_error(path) is None or broken == whole


def test_a_file_from_before_there_were_checksums_is_read(tmp_path):
    path, weights = tmp_path / "older.safetensors", md.nets.MLP(2, 16, 1).state_dict()
    save_file(weights, path, GOOD)
    assert md.load(path).net.config["width"] == 16
    save_file(weights, path, {"format": checkpoint.TRAINING, "about": '{"step": 3}'})
    state, about = checkpoint.load_training(path)
    assert about == {"step": 3} and all(torch.equal(state[name], value) for name, value in weights.items())
    # but not if its checksum has only lost its name
    save_file(weights, path, {**GOOD, "sha25": "0" * 64})
    with pytest.raises(ValueError, match="path must"):
        md.load(path)


def test_loading_leaves_other_randomness_alone(whole, tmp_path, global_rng_untouched):
    (tmp_path / "model.safetensors").write_bytes(whole)
    md.load(tmp_path / "model.safetensors")


def test_a_header_that_asks_for_a_network_of_any_size_gets_no_memory(tmp_path):
    path = tmp_path / "huge.safetensors"
    # 10^9 wide: 4 * 10^18 bytes a layer
    huge = GOOD["config"].replace("16", "1000000000")
    save_file(md.nets.MLP(2, 16, 1).state_dict(), path, {**GOOD, "config": huge})
    with pytest.raises(ValueError, match="its weights are not those of its network"):
        md.load(path)


MEMORY = """
import resource, sys
from minidiffusion.training import checkpoint
def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small, path, load = sys.argv[1], sys.argv[2], getattr(checkpoint, sys.argv[3])
load(small)
before = peak()
try:
    load(path)
except ValueError as error:
    print(error, file=sys.stderr)
print(peak() - before)
"""


@pytest.mark.parametrize(
    "net, config",
    [
        (md.nets.MLP(2, 16, 1), {"depth": 10**9}),
        (md.nets.MLP(2, 16, 1), {"depth": 2}),
        (md.nets.UNet(1, (16, 16, 32), (1, 1, 1)), {"blocks": [10**9, 2, 2]}),
        (md.nets.DiT(1, 4, 64, 1), {"depth": 10**9}),
    ],
)
def test_a_small_file_that_asks_for_many_layers_is_refused_at_once(tmp_path, net, config):
    denoiser, path = small(net), tmp_path / "deep.safetensors"
    number = len(denoiser.net.state_dict())
    denoiser.net.config = {**denoiser.net.config, **config}
    md.save(denoiser, path)  # with a checksum that fits
    with pytest.raises(ValueError, match=f"more weight tensors than the {number} of the file"):
        md.load(path)


def test_sizes_that_are_no_sizes_are_named(tmp_path):
    denoiser, path = small(md.nets.UNet(1, (16, 32), (1, 1))), tmp_path / "odd.safetensors"
    whole = denoiser.net.config
    wrong = [{"widths": widths} for widths in ([], [8, 8], 5, [0, 0], {}, "ab", None)]
    wrong += [{"blocks": None}, {"channels": 10**400}, {"context": []}, {"": 1}, {"widths": [0], "blocks": [1]}]
    for config in wrong:
        denoiser.net.config = {**whole, **config}
        md.save(denoiser, path)
        assert load_or_clear_error(path) is None


@pytest.mark.parametrize(
    "text", ["[]", "3", "{", "[" * 10**5, '{"format": []}', '{"format": "minidiffusion 1", "sha256": 3, "about": {}}']
)
def test_a_header_that_is_no_dictionary_of_ours_is_named(tmp_path, text):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(3)}, path, {"minidiffusion": text})
    for load in (md.load, checkpoint.load_training, checkpoint.read_header):
        with pytest.raises(ValueError, match="path must"):
            load(path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is counted in other units")
@pytest.mark.parametrize("broken", [False, True])
def test_loading_takes_no_more_memory_than_twice_the_file(tmp_path, broken):
    small_file, path = tmp_path / "small", tmp_path / "large"
    md.save(small(), small_file)
    md.save(md.Denoiser(md.nets.MLP(2, 700, 4), md.schedule.cosine(), md.heads.V), path)
    size = path.stat().st_size
    assert size > 1.5e7
    if broken:
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\xff")
    environment = {**os.environ, "PYTHONPATH": str(Path(md.__file__).parents[1])}
    words = [sys.executable, "-c", MEMORY, small_file, path, "load"]
    result = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert int(result.stdout) <= 2 * size + 2e6
    assert ("checksum" in result.stderr) == broken


# A training


@pytest.fixture(scope="module")
def whole_training(tmp_path_factory):
    """The bytes of a training that can go on."""
    path = tmp_path_factory.mktemp("training") / "training.safetensors"
    (step,) = md.fit(small(md.nets.MLP(2, 16, 1)), torch.zeros(4, 2), 1, batch_size=4)
    checkpoint.save_training(step.state(), path, ABOUT)
    return path.read_bytes()


def as_written(path) -> dict:
    raw = path.read_bytes()
    return json.loads(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]["minidiffusion"])


def test_a_training_comes_back_exactly(tmp_path):
    path = tmp_path / "training.safetensors"
    tensors = {
        "a": torch.randn(3, 2),
        "b.c": torch.tensor(7),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": torch.randn(3).bfloat16(),
        "turned": torch.randn(4, 3).t(),
        "none": torch.zeros(0, 2),
    }
    checkpoint.save_training(tensors, path, ABOUT)
    again, about = checkpoint.load_training(path)
    assert about == ABOUT and again.keys() == tensors.keys()
    assert all(torch.equal(again[name], t) and again[name].dtype == t.dtype for name, t in tensors.items())
    assert as_written(path)["format"] == checkpoint.TRAINING


def test_the_same_content_is_the_same_bytes(tmp_path):
    path = tmp_path / "model.safetensors"
    seen = set()
    for _ in range(8):
        md.save(small(), path, ABOUT)
        seen.add(path.read_bytes())
    assert len(seen) == 1


def test_one_type_of_file_is_not_taken_for_the_other(whole, whole_training, tmp_path):
    path = tmp_path / "x"
    for content, load in ((whole, checkpoint.load_training), (whole_training, md.load)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="it holds .*, and .* is needed here"):
            load(path)


def test_every_bit_of_the_length_counts(whole, tmp_path):
    path = tmp_path / "model.safetensors"
    for bit in range(64):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        assert load_or_clear_error(path) is None, bit


# Saving


def test_what_cannot_be_saved_is_named_before_a_file_appears(tmp_path, unchecked):
    class Other(torch.nn.Module):
        def forward(self, x, t, cond):
            return x

    with pytest.raises(ValueError, match=r"denoiser\.net must be one of"):
        md.save(md.Denoiser(Other(), md.schedule.cosine(), md.heads.V), tmp_path / "x")
    for about in ({"network": object()}, ["a list"], "a text", 3, {"itself": ABOUT, (1, 2): 3}):
        with pytest.raises(TypeError, match="about must be a dictionary"):
            md.save(small(), tmp_path / "x", about=about)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_a_clear_error(tmp_path):
    path = tmp_path / "no folder" / "model.safetensors"
    with pytest.raises(OSError) as error:
        md.save(small(), path)
    assert str(path) in str(error.value) or str(path.parent) in str(error.value)
    assert not path.parent.exists()


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "model.safetensors"
    md.save(small(), path)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        md.save(small(schedule=md.schedule.flow()), path)
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    md.save(small(schedule=md.schedule.flow()), path)
    assert md.load(path).schedule == md.schedule.flow() and list(tmp_path.iterdir()) == [path]


def test_the_file_and_its_name_reach_the_disk_before_the_old_one_is_gone(tmp_path, monkeypatch):
    path, done = tmp_path / "model.safetensors", []
    originals = {"fsync": os.fsync, "replace": os.replace}

    def fsync(descriptor):
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if folder else f"{os.fstat(descriptor).st_size} bytes")
        originals["fsync"](descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", lambda *names: done.append("replace") or originals["replace"](*names))
    md.save(small(), path)
    assert done == [f"{path.stat().st_size} bytes", "replace", *(["folder"] if os.name == "posix" else [])]


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_text("what was there")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        md.save(small(), path)
    monkeypatch.undo()
    assert path.read_text() == "what was there" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    md.save(small(), tmp_path / "model.safetensors")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "model.safetensors")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize(
    "name, method, steps", [("fashion_mnist", "ddim", 10), ("fashion_mnist_few", "consistency", 1)]
)
def test_the_shipped_denoisers_generate_the_class_that_was_asked_for(name, method, steps):
    denoise = md.shipped(name)
    labels, generator = torch.arange(10), torch.Generator().manual_seed(1)
    x_1 = md.prior((10, 1, 28, 28), denoise.schedule, generator)
    x0 = md.sample(denoise, x_1, steps=steps, method=method, cond=labels, generator=generator)
    # by chance, 1
    assert (md.nets.fashion_classifier()(x0).argmax(1) == labels).sum() >= 7


def test_shipped_names_what_is_not_there():
    with pytest.raises(FileNotFoundError, match=r"none at .*paintings\.safetensors"):
        md.shipped("paintings")


def test_threads_that_write_and_read_one_file_always_find_a_whole_one(tmp_path):
    path, wrong = tmp_path / "model.safetensors", []
    md.save(small(), path)

    def write(number):
        for i in range(20):
            md.save(small(), path, about={"note": "x" * (100 * number + i)})

    def read():
        for _ in range(40):
            md.load(path)

    def noted(work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            wrong.append(error)

    jobs = [(write, 1), (write, 2), (read,), (read,)]
    threads = [threading.Thread(target=noted, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.complex64])
def test_weights_are_kept_as_floats(dtype, tmp_path):
    with pytest.raises(ValueError, match=r"dtype must be a floating point torch.dtype"):
        md.save(small(), tmp_path / "model.safetensors", dtype=dtype)


def test_a_path_without_a_name_is_named():
    with pytest.raises(OSError, match="path must name a file"):
        md.save(small(), "")
