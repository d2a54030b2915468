"""Every check, against the answers that students give: wrong ones are refused with the sentence that fits.

banks/lesson_NN.py holds the answers of a lesson: BANK = {exercise: (right answers, [(wrong answer, sentence), ...])}.
"""

import importlib.util
import inspect
from pathlib import Path

import pytest
import torch

import minidiffusion as md
from minidiffusion.course.exercises import CHECKS, check
from minidiffusion.course.exercises.judge import judge

BANK = {}
for path in sorted(Path(__file__).parent.glob("banks/lesson_*.py")):
    spec = importlib.util.spec_from_file_location(f"bank_of_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    BANK |= module.BANK

RIGHT = [(name, answer) for name, (answers, _) in BANK.items() for answer in answers]
WRONG = [(name, answer, sentence) for name, (_, answers) in BANK.items() for answer, sentence in answers]
SCHEDULED = [
    name
    for name, ((right, *_), _) in BANK.items()
    if callable(right) and "schedule" in inspect.signature(right).parameters
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass_however_they_are_written(name, answer):
    assert judge(CHECKS[name], answer) == "passed"


@pytest.mark.parametrize(("name", "answer", "sentence"), WRONG)
def test_wrong_answers_are_refused_with_a_fitting_sentence(name, answer, sentence):
    verdict = judge(CHECKS[name], answer)
    assert verdict.startswith("not yet: ") and sentence in verdict


def test_every_exercise_has_a_bank():
    assert list(BANK) == list(CHECKS)
    assert all(len(right) >= 3 and len(wrong) >= 8 for right, wrong in BANK.values())


class Agreeable(torch.Tensor):
    """A tensor that is equal to everything, and free of faults."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.allclose, torch.equal):
            return True
        if function in (torch.Tensor.__eq__, torch.Tensor.eq, torch.isclose):
            return torch.ones(args[0].shape, dtype=torch.bool)
        return super().__torch_function__(function, types, args, kwargs or {})


class Same:
    """Something that is equal to everything."""

    __hash__ = None
    __eq__ = __lt__ = __le__ = __ge__ = __gt__ = lambda *both: True

    def __ne__(self, other):
        return False


class SameNumber(Same, float):
    """Its difference from everything is 0."""

    __sub__ = __rsub__ = __abs__ = lambda *numbers: 0.0


class SameWord(Same, str):
    pass


def claiming(answer):
    """The answer, in a type that claims to be equal to everything."""
    if isinstance(answer, torch.Tensor):
        return answer.as_subclass(Agreeable)
    if isinstance(answer, (tuple, list)):
        return type(answer)(claiming(part) for part in answer)
    types = {float: SameNumber, str: SameWord}
    return types.get(type(answer), lambda same: same)(answer)


@pytest.mark.parametrize("name", CHECKS)
def test_an_answer_that_claims_to_be_right_is_not_believed(name):
    for wrong, _ in BANK[name][1]:
        if not callable(wrong):
            continue

        def agreeable(*inputs, wrong=wrong):
            return claiming(wrong(*inputs))

        assert judge(CHECKS[name], agreeable).startswith("not yet: ")


@pytest.mark.parametrize("name", SCHEDULED)
def test_an_answer_that_rewrites_its_schedule_is_not_believed(name):
    right = BANK[name][0][0]

    def rewriting(*inputs):
        for schedule in inputs:
            if isinstance(schedule, md.schedule.Schedule):
                for curve, value in dict(alpha=0.6, sigma=0.8, log_snr=0.5, time=0.5).items():
                    object.__setattr__(schedule, curve, lambda t, value=value: 0 * t + value)
        return right(*inputs)

    assert judge(CHECKS[name], rewriting).startswith("not yet: ")


@pytest.mark.parametrize("name", CHECKS)
def test_a_stub_is_not_attempted(name):
    assert judge(CHECKS[name], ...) == "not attempted yet"
    assert judge(CHECKS[name], lambda *inputs: ...) == "not attempted yet"


def test_a_sampling_loop_over_a_stub_of_the_step_is_not_attempted():
    def loop(denoise, x_1, times, schedule):
        x = x_1
        for t in times[:-1]:
            denoise(x, t)
            x = ...  # what the stub of the step returns
        return x

    assert judge(CHECKS["00.1"], loop) == "not attempted yet"


def test_an_answer_that_calls_exit_does_not_end_the_notebook():
    def small_enough(n, S, rho):
        raise SystemExit(0)

    verdict = judge(CHECKS["01.2"], small_enough)
    assert verdict.startswith("not yet: ") and "SystemExit" in verdict


def test_check_prints_one_line(capsys):
    check("01.2", lambda n, S, rho: rho / (n * S**2 * (1 - rho**2) + rho**2) ** 0.5)
    assert capsys.readouterr().out == "Exercise 01.2: passed\n"


def test_check_lists_the_exercises_that_exist():
    with pytest.raises(ValueError, match=r"exercise must be one of 00\.1, .*, got '7'"):
        check("7", 0)


def test_the_variance_is_reported_where_it_should_stay_at_1():
    def twice(x0, t, eps, schedule):
        return md.diffuse(x0, t, 2 * eps, schedule)

    assert "variance at t = 0.5 is 2.5" in judge(CHECKS["01.1"], twice)
