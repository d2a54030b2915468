"""Whatever interrupts a training, resuming it ends with the files of an uninterrupted one; and no file is lost."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import minidiffusion as md
from minidiffusion.cli import keep, main, train
from minidiffusion.training import checkpoint

RUN = ["train", "moons", "--steps", "20", "--out", "run"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIDIFFUSION_DATA", raising=False)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Write the numbers of one step instead of images, and do not wait for the disk. Both take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(train, "draw", lambda denoise, x_1, cond: denoise(x_1, 1.0))
    monkeypatch.setattr(train, "write_sheet", lambda path, x0, classes: path.write_bytes(x0.numpy().tobytes()))


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def fails(words: list[str], capsys) -> str:
    """The one line of the error of this command, which must not change a file in the folder."""
    before = contents("run")
    capsys.readouterr()
    assert main(words) == 2
    assert contents("run") == before
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if "step/s" not in line and line]  # the progress bar is no message
    assert out == "" and line.startswith("minidiffusion: error: ")
    return line


def save_always(monkeypatch):
    """Save after every step."""
    monkeypatch.setattr(keep, "SECONDS", 0.0)
    monkeypatch.setattr(keep, "SHARE", math.inf)


def ctrl_c(monkeypatch, after: int, times: int = 1):
    """Press Ctrl-C in the middle of the step after this one."""

    def fit(*args, **kwargs):
        for step in md.fit(*args, **kwargs):
            if step.number == after + 1:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            yield step

    monkeypatch.setattr(train, "fit", fit)


# Killed, and resumed

# One process loads torch and forks a training for every kill. The training saves after every step, slowly, so that
# many kills come while a file is being written. Its sheets hold plain numbers, as in the tests.
KILLS = """
import contextlib, json, os, random, signal, sys, time
import torch._dynamo  # the optimiser would import it in every fork, which takes a second
from minidiffusion.cli import keep, main, train
words, kills = json.loads(sys.argv[1]), int(sys.argv[2])
keep.SECONDS, keep.SHARE, draw = 0.0, float("inf"), random.Random(kills)
os.fsync = lambda descriptor: time.sleep(0.003)
train.draw = lambda denoise, x_1, cond: denoise(x_1, 1.0)
train.write_sheet = lambda path, x0, classes: path.write_bytes(x0.numpy().tobytes())

def start(folder):
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
            os._exit(main([*words, "--out", folder, "--resume"]))
    return child

began = time.monotonic()
assert os.waitpid(start("unbroken"), 0)[1] == 0
unbroken, killed, written, busy = time.monotonic() - began, 0, set(), 0
while True:
    child = start("killed")
    if killed < kills:
        time.sleep(draw.uniform(0, 1.6 * unbroken / kills))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        for name in os.listdir("killed") if os.path.exists("killed") else ():
            busy += name.endswith(".part")
    else:
        assert os.waitpid(child, 0)[1] == 0
        break
print(json.dumps({"killed": killed, "in a write": busy, "seconds": unbroken}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9")
@pytest.mark.parametrize("steps, kills", [(20, 3), pytest.param(600, 50, marks=pytest.mark.slow)])
def test_killed_and_resumed_it_ends_with_the_files_of_an_uninterrupted_training(steps, kills):
    words = json.dumps(["train", "moons", "--steps", str(steps), "--seed", "3", "--device", "cpu"])
    environment = {**os.environ, "PYTHONPATH": str(Path(md.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", KILLS, words, str(kills)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr

    assert json.loads(result.stdout)["killed"] == kills
    unbroken, killed = contents("unbroken"), contents("killed")
    assert unbroken.keys() == killed.keys() >= {"model.safetensors", "training.safetensors", "samples.png"}
    assert [name for name in unbroken if unbroken[name] != killed[name]] == []


def test_the_next_training_removes_files_that_a_kill_left_half_written():
    Path("run").mkdir()
    Path("run/.training.safetensors.12345.part").write_text("cut off")
    Path("run/notes.part").write_text("not ours")
    assert main(RUN) == 0
    assert [path.name for path in Path("run").glob("*.part")] == ["notes.part"]


def test_a_kill_between_the_state_and_its_network_costs_nothing(monkeypatch):
    def killed(*arguments):
        raise SystemExit("killed")

    assert main([*RUN[:-1], "unbroken"]) == 0
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(checkpoint, "save", killed)
        main(RUN)
    assert Path("run/training.safetensors").exists() and not Path("run/model.safetensors").exists()
    assert main([*RUN, "--resume"]) == 0
    assert contents("run") == contents("unbroken")


# Ctrl-C


@pytest.mark.parametrize("times, one_press, done", [(1, 0.0, 7), (2, 0.0, 6), (2, 60.0, 7)])
def test_ctrl_c_saves_and_prints_the_command_that_resumes(monkeypatch, capsys, times, one_press, done):
    """The first lets the step end; a second does not wait, unless it comes at once; what was saved is complete."""
    save_always(monkeypatch)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(keep, "ONE_PRESS", one_press)
        ctrl_c(patch, after=6, times=times)
        assert main([*RUN, "--seed", "5", "--device", "cpu"]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    line = capsys.readouterr().err.splitlines()[-1]
    model = str(Path("run/model.safetensors"))
    assert f"stopped after {done} of 20 steps" in line and model in line
    assert checkpoint.read_header(model)["about"]["steps"] == done
    command = line.partition("resume with: ")[2].split()
    assert command == ["minidiffusion", *RUN[:4], "--seed", "5", "--device", "cpu", "--out", "run", "--resume"]
    assert main(command[1:]) == 0
    assert main([*RUN[:-1], "unbroken", "--seed", "5", "--device", "cpu"]) == 0
    assert contents("run") == contents("unbroken")


def test_ctrl_c_in_the_last_step_changes_nothing(monkeypatch, capsys):
    ctrl_c(monkeypatch, after=19)
    assert main(RUN) == 0
    assert capsys.readouterr().out == "run/model.safetensors\n"


# What can be resumed


def test_resume_starts_a_training_in_an_empty_folder_and_does_nothing_in_a_finished_one(capsys):
    for _ in range(2):
        assert main([*RUN, "--resume"]) == 0
        assert capsys.readouterr().out == "run/model.safetensors\n"
        first = contents("run")
    assert contents("run") == first
    Path("run/model.safetensors").unlink()
    assert main([*RUN, "--resume"]) == 0 and contents("run") == first
    Path("run/loss.csv").write_text("saved again by another program", encoding="utf-16")
    assert main([*RUN, "--resume"]) == 0


@pytest.mark.parametrize(
    "change, expected",
    [
        (["train", "emoji32", "--steps", "20", "--out", "run"], ["recipe", "'moons'", "'emoji32'"]),
        (["train", "moons", "--steps", "21", "--out", "run"], ["steps", "20", "21"]),
        (["train", "moons", "--out", "run"], ["steps", "20", "2000"]),
        ([*RUN, "--seed", "1"], ["seed", "0", "1"]),
    ],
)
def test_a_different_training_is_not_resumed(change, expected, capsys):
    assert main(RUN) == 0
    line = fails([*change, "--resume"], capsys)
    assert "--resume" in line and "training.safetensors" in line and all(part in line for part in expected)


def test_a_changed_recipe_is_a_different_training(monkeypatch, capsys):
    assert main(RUN) == 0
    changed = dataclasses.replace(train.RECIPES["moons"], batch_size=64)
    monkeypatch.setitem(train.RECIPES, "moons", changed)
    assert "batch_size is 256" in fails([*RUN, "--resume"], capsys)
    monkeypatch.setitem(train.RECIPES, "moons", dataclasses.replace(changed, batch_size=256, about="other words"))
    assert main([*RUN, "--resume"]) == 0


def test_a_training_never_overwrites_another(capsys):
    assert main(RUN) == 0
    assert "--resume" in fails(RUN, capsys)
    Path("run/training.safetensors").unlink()
    for words in (RUN, [*RUN, "--resume"]):
        assert "run/model.safetensors" in fails(words, capsys)


@pytest.mark.parametrize("broken", ["cut", "flipped", "newer", "a network"])
def test_a_broken_state_gives_one_line(broken, capsys):
    assert main(RUN) == 0
    path = Path("run/training.safetensors")
    whole = path.read_bytes()
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),
            "newer": whole.replace(b"training 1", b"training 2", 1),
            "a network": Path("run/model.safetensors").read_bytes(),
        }[broken]
    )
    assert "training.safetensors" in fails([*RUN, "--resume"], capsys)


@pytest.mark.parametrize("step", [None, "3", 0, 2.0, True, 10**9, [3]])
def test_a_state_that_does_not_say_its_step_gives_one_line(step, capsys):
    assert main(RUN) == 0
    state, about = checkpoint.load_training("run/training.safetensors")
    about = {key: value for key, value in about.items() if key != "step"} | ({} if step is None else {"step": step})
    checkpoint.save_training(state, "run/training.safetensors", about)
    line = fails([*RUN, "--resume"], capsys)
    assert "--resume needs the step that was reached, and run/training.safetensors does not say it" in line


def test_two_trainings_in_one_folder_refuse_each_other(capsys):
    Path("run").mkdir()
    with FileLock("run/.lock"):
        assert "running in run" in fails(RUN, capsys)
    assert main(RUN) == 0  # the file of the lock remains, but does not keep anybody out


# What can go wrong during a training


def test_the_same_command_gives_the_same_bytes_with_another_clock(monkeypatch):
    assert main(RUN) == 0
    save_always(monkeypatch)
    torch.rand(3)  # the global generator is in a different state
    assert main([*RUN[:-1], "again"]) == 0
    assert contents("run") == contents("again")


def test_slow_saves_are_rare(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(keep.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "save_training", lambda *_: now.__setitem__(0, now[0] + 2.0))
    monkeypatch.setattr(keep.Folder, "_save_network", lambda *_: None)
    folder = keep.Folder(Path(), {})
    assert folder.due == 30.0
    (step,) = md.fit(md.Denoiser(md.nets.MLP(2, 8, 1), md.schedule.cosine(), md.heads.V), torch.zeros(4, 2), 1)
    folder.save(step, (2,))
    assert folder.due == 2.0 + 50 * 2.0  # saving takes two of every hundred seconds


def test_a_full_disk_gives_one_line_and_the_last_state_stays(monkeypatch, capsys):
    """No file may grow beyond half the size of a state, so writing one fails in the middle."""
    resource = pytest.importorskip("resource")
    with monkeypatch.context() as patch:
        ctrl_c(patch, after=2)
        assert main(RUN) == 130
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path("run/training.safetensors").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
        before = contents("run")
        assert main([*RUN, "--resume"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "minidiffusion: error: [Errno 27] File too large: 'run/training.safetensors'"
    after = contents("run")
    assert after["loss.csv"].startswith(before.pop("loss.csv"))  # resuming drops the rest
    assert before.pop("samples.png") != after["samples.png"]  # of a later step, as they fit onto the disk
    assert all(after[name] == before[name] for name in before) and not list(Path("run").glob("*.part"))
    assert main([*RUN, "--resume"]) == 0
    steps = [line.split(",")[0] for line in Path("run/loss.csv").read_text().splitlines()[1:]]
    assert steps == [str(i) for i in range(1, len(steps) + 1)] and len(steps) > 2


def test_a_state_beyond_the_last_step_changes_nothing(capsys):
    assert main(RUN) == 0
    state, about = checkpoint.load_training("run/training.safetensors")
    state["steps_done"] = torch.tensor(10**6)
    checkpoint.save_training(state, "run/training.safetensors", about | {"step": 10**6})
    assert "at step 1000000, beyond the 20 asked for" in fails([*RUN, "--resume"], capsys)


@pytest.mark.parametrize("saved", [True, False])
def test_a_loss_that_is_not_finite_ends_with_the_last_good_checkpoint(monkeypatch, capsys, saved):
    calls = []

    def loss_per_item(*arguments, **options):
        calls.append(1)
        return md.objectives.loss_per_item(*arguments, **options) * (math.nan if len(calls) == 5 else 1.0)

    monkeypatch.setattr(sys.modules["minidiffusion.training.descend"], "loss_per_item", loss_per_item)
    if saved:
        save_always(monkeypatch)
    assert main(RUN) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "step 5 has a loss of nan" in line and "log-SNR" in line and "gradient of norm nan" in line
    assert ("run/model.safetensors, of step 4" if saved else "none yet") in line
    if saved:
        assert checkpoint.read_header("run/model.safetensors")["about"]["steps"] == 4
        state, _ = checkpoint.load_training("run/training.safetensors")
        assert all(t.isfinite().all() for t in state.values())


# Several processes

LOSSES = """
import json, sys, torch, weakref
import minidiffusion as md
import torch.distributed as dist
from minidiffusion.cli.keep import together
from minidiffusion.training.distributed import processes
with together():
    torch.manual_seed(0)
    denoiser = md.Denoiser(md.nets.MLP(2, 32, 2, classes=3), md.schedule.cosine(), md.heads.V)
    points = torch.randn(99, 2, generator=torch.Generator().manual_seed(0))
    steps = md.fit(denoiser, (points, torch.arange(99) % 3), 30, batch_size=31, learning_rate=1e-2, precision="float32")
    curve = [(step.loss, step.gradient_norm, *step.loss_per_item.tolist()) for step in steps]
    if processes()[0] == 0:
        print(json.dumps(curve))
    group = weakref.ref(dist.group.WORLD) if dist.is_initialized() else lambda: None
assert group() is None, "the threads of a group that is still alive can abort the process when it ends"
"""


def torchrun(*words: str) -> subprocess.CompletedProcess:
    """Run a command in a Python process; with TWO first, in two of them."""
    environment = {**os.environ, "PYTHONPATH": str(Path(md.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def test_two_processes_have_the_loss_curve_of_one():
    """Tolerance: summing in a different order changes a loss by less than 0.01% in thirty steps."""
    Path("losses.py").write_text(LOSSES)
    one, two = (torch.tensor(json.loads(torchrun(*words, "losses.py").stdout)) for words in ((), TWO))
    assert one.shape == (30, 33)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


def test_torchrun_trains_the_network_of_one_process_and_only_one_writes():
    words = ("-m", "minidiffusion", "train", "moons", "--steps", "4", "--device", "cpu", "--out")
    assert torchrun(*TWO, *words, "two").stdout == "two/model.safetensors\n"
    assert main([*words[2:], "one"]) == 0
    assert contents("one").keys() == contents("two").keys()
    losses = [Path(name, "loss.csv").read_text().splitlines() for name in ("one", "two")]
    for rows in losses:
        assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3", "4"]
    first = [float(rows[1].split(",")[1]) for rows in losses]
    assert first[1] == pytest.approx(first[0], rel=0.01)  # of the whole batch, not of one half
    start, one, two = (
        torch.cat([weight.flatten() for weight in denoiser.parameters()])
        for denoiser in (
            train.RECIPES["moons"].denoiser(0),
            md.load("one/model.safetensors"),
            md.load("two/model.safetensors"),
        )
    )
    # Adam takes the sign of a gradient, however small, and this may be bfloat16
    assert (two - one).norm() < 0.1 * (one - start).norm(), ((two - one).norm(), (one - start).norm())


def test_ctrl_c_under_torchrun_keeps_the_network():
    """A terminal sends the signal to torchrun and both processes, and torchrun sends it to them once more."""
    words = ("-m", "minidiffusion", "train", "moons", "--steps", "1000000", "--device", "cpu", "--out", "run")
    environment = {**os.environ, "PYTHONPATH": str(Path(md.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *TWO, *words]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 600
        while not Path("run/.lock").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.0)
        os.killpg(running.pid, signal.SIGINT)
        _, err = running.communicate(timeout=600)
    finally:
        running.kill()
    again = "resume with: torchrun --nproc-per-node=2 -m minidiffusion train moons --steps 1000000"
    assert again in err and "KeyboardInterrupt" not in err, err
    state, about = checkpoint.load_training("run/training.safetensors")
    assert about["step"] == int(state["steps_done"]) > 0
    assert checkpoint.read_header("run/model.safetensors")["about"]["steps"] == about["step"]


STATES = {
    "a generator of another type": {"generator.batches": torch.zeros(5056)},
    "no generator": {"generator.cpu": torch.zeros(5056, dtype=torch.uint8)},
    "weights of another type": {"weights.net.first.weight": torch.zeros(128, 2, dtype=torch.float64)},
    "another step": {"steps_done": torch.tensor(float("nan"))},
    "a tensor too many": {"weights.net.more": torch.zeros(3)},
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_a_state_with_odd_types_is_one_line_and_changes_no_file(monkeypatch, capsys, change):
    with monkeypatch.context() as patch:
        ctrl_c(patch, after=2)
        assert main(RUN) == 130
    state, about = checkpoint.load_training("run/training.safetensors")
    checkpoint.save_training({**state, **change}, "run/training.safetensors", about)
    assert "state" in fails([*RUN, "--resume"], capsys) or "steps_done" in change
