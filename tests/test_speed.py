"""The benchmark in figures/speed: its arithmetic, and whether its page agrees with its files."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

SPEED = Path(__file__).parent.parent / "figures" / "speed"
sys.path.insert(0, str(SPEED))

import limits  # noqa: E402
import page  # noqa: E402
import peers  # noqa: E402
import protocol  # noqa: E402

FILES = sorted(SPEED.glob("*.json"))


def test_contenders_take_turns_and_none_always_follows_the_same():
    called = []
    contenders = {name: lambda name=name: called.append(name) or float(len(called)) for name in "abc"}
    runs = protocol.take_turns(contenders, rounds=3)
    assert "".join(called) == "abccbaabc"
    assert runs == {"a": [1.0, 6.0, 7.0], "b": [2.0, 5.0, 8.0], "c": [3.0, 4.0, 9.0]}


def test_a_ratio_is_taken_within_its_round():
    # in the second round the machine was ten times slower, so the ratio of the medians would be 2.0 and not 3.0
    assert protocol.ratios([2.0, 0.3, 4.0], [1.0, 0.1, 1.0]) == (pytest.approx(3.0), 2.0, 4.0)


def test_less_time_is_more_times_as_good():
    item = page.compared({"minidiffusion": [1.0, 2.0], "diffusers": [4.0, 4.0]}, "time", None, less_is_better=True)
    assert item.times["minidiffusion"] == (3.0, 2.0, 4.0) and item.times["diffusers"] == (1.0, 1.0, 1.0)
    item = page.compared({"minidiffusion": [4.0], "diffusers": [2.0]}, "rate", None)
    assert item.times["minidiffusion"] == (2.0, 2.0, 2.0)


def test_without_diffusers_there_is_nothing_to_compare_with():
    assert page.compared({"minidiffusion": [1.0]}, "time", None) is None


def test_the_fastest_way_of_a_precision():
    ways = {"float32": 3.0, "float32 channels_last": 4.0, "bfloat16": 9.0, "bfloat16 channels_last": 5.0}
    project = {"ways": {way: {"median": median} for way, median in ways.items()}}
    assert page.best(project) == "bfloat16" and page.best(project, "float32") == "float32 channels_last"


def test_a_matrix_product_says_how_many_operations_it_took():
    multiply = limits.product(torch.float32, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        said = multiply()
    assert said == pytest.approx(counter.get_total_flops() / 1e9)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::convolution_backward", "convolution, backward"),
        ("aten::mkldnn_convolution", "convolution, forward"),
        ("aten::native_group_norm_backward", "norm"),
        ("aten::silu_backward", "silu"),
        ("aten::addmm", "attention and linear"),
        ("aten::_to_copy", "copies"),
        ("aten::add_", "sums and products"),
        ("aten::empty", "all else"),
    ],
)
def test_an_operation_counts_as_one_kind_of_work(operation, kind):
    assert limits.kind_of(operation) == kind


def test_the_shares_of_a_step_are_all_of_its_time_and_mostly_its_product():
    a = torch.ones(300, 300)

    def step():
        (a @ a).sum()
        return 1

    shares = limits.shares(step, torch.device("cpu"), 0.1)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert max(shares, key=shares.get) == "attention and linear"


def test_a_step_is_compared_with_the_product_in_its_own_precision():
    def runs(value):
        return {"median": value, "runs": [value]}

    step = {"precision": "bfloat16", "gflop": 15.0, "gflop_per_second": runs(100.0), "shares": {"norm": 1.0}}
    steps, where = page.limits({"products": {"float32": runs(100.0), "bfloat16": runs(400.0)}, "steps": {"net": step}})
    assert "| net | bfloat16 | 15 | 100 (100 to 100) | 400 (400 to 400) | 25% |" in steps and "| net | 100% |" in where


@pytest.mark.parametrize(("kind", "classes"), [(peers.SmallMinidiffusion, 0), (peers.LabelledMinidiffusion, 10)])
def test_only_the_recipe_as_it_stands_is_told_the_labels(kind, classes):
    peer, case, heard = kind(), peers.CASES[0], []
    net = peer.network(case)
    net.condition.register_forward_pre_hook(lambda module, seen: heard.append(seen[1]))
    images, labels = torch.zeros(8, 1, 28, 28), torch.arange(8)
    next(peer.train(net, (images, labels) if classes else images, 4, "float32"))
    peer.draw(net, case, 12, 1, "float32")
    trained, drawn = heard
    assert peer.classes == net.config["classes"] == classes
    if classes:
        assert trained.shape == (4,) and drawn.tolist() == [*range(10), 0, 1]
    else:
        assert trained is None and drawn is None


def test_the_page_says_what_the_files_say():
    assert page.page() == (SPEED / "README.md").read_text(), "run figures/speed/page.py"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
class TestFile:
    def test_is_named_after_its_machine_and_names_no_other_thing_of_it(self, file):
        text = file.read_text()
        assert file.stem == page.slug(json.loads(text)["machine"])
        assert '"/' not in text and "://" not in text  # no path, no address

    def test_networks_have_the_same_size_within_5_percent(self, file):
        cases = json.loads(file.read_text()).get("training", {}).get("cases", {})
        for case in cases.values():
            for project in case.values():
                assert abs(project["parameters"] / case["minidiffusion"]["parameters"] - 1) <= 0.05

    def test_steps_of_the_time_to_quality_are_what_the_minutes_hold(self, file):
        quality = json.loads(file.read_text()).get("quality", {"projects": {}})
        for project in quality["projects"].values():
            seconds = project["steps"] * project["batch"] / project["images_per_second"]["median"]
            assert seconds == pytest.approx(60 * quality["minutes"], rel=0.05)

    def test_medians_are_of_the_runs(self, file):
        def check(value):
            if isinstance(value, dict):
                if "runs" in value:
                    assert value["median"] == pytest.approx(protocol.summary(value["runs"])["median"], rel=1e-3)
                for inner in value.values():
                    check(inner)

        check(json.loads(file.read_text()))
