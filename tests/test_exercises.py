"""Every check, against answers that students give: the wrong ones are refused with a fitting sentence.

banks/lesson_NN.py holds the answers of a lesson: BANK = {exercise: (right answers, [(wrong answer, sentence), ...])}.
"""

import functools
import importlib.util
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", CHECKS)
def test_a_stub_is_not_attempted(name):
    assert judge(CHECKS[name], ...) == "not attempted yet"
    if name != "00.1":
        assert judge(CHECKS[name], lambda *inputs: ...) == "not attempted yet"


def test_a_walk_over_a_stub_of_the_step_is_not_attempted():
    walk = functools.partial(draw_with, lambda x_t, x0, t, s, schedule: ...)
    assert judge(CHECKS["00.3"], walk) == "not attempted yet"


def draw_with(step, denoise, x_1, times, schedule):
    x = x_1
    for t, s in zip(times, times[1:], strict=False):
        x = step(x, denoise(x, t), t, s, schedule)
    return x


def test_check_prints_one_line(capsys):
    check("01.2", lambda schedule: schedule.time(0.0))
    assert capsys.readouterr().out == "Exercise 01.2: passed\n"


def test_check_names_the_exercises_that_there_are():
    with pytest.raises(ValueError, match=r"exercise must be one of 00\.1, .*, got '7'"):
        check("7", 0)


def test_variance_is_named_where_it_should_stay_at_1():
    def twice(x0, t, eps, schedule):
        return md.diffuse(x0, t, 2 * eps, schedule)

    assert "variance at t = 0.5 is 2.5" in judge(CHECKS["01.1"], twice)
