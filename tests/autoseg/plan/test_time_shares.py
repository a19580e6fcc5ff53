"""How a budget is divided: nothing is lost, nothing is given twice, and a spent one still gives a model."""

import pytest

from autoseg.plan.time_shares import (
    CASES_A_VALIDATION,
    MOST_VALIDATIONS,
    Queue,
    budget_of_some_folds,
    divide_budget,
    divide_fold,
    equal_share,
    seconds_of_next_fold,
    smallest_budget,
    steps_in,
    time_for_training,
)


def test_a_budget_is_divided_without_rest() -> None:
    for budget, spent, cases, count, configurations in [
        (3600, 0, 20, 5, 1),
        (2400, 130, 40, 5, 2),
        (9000, 10, 7, 3, 3),
    ]:
        time = divide_budget(budget, spent, cases, count, configurations)
        assert count * configurations * time.fold_seconds + time.kept_back + spent == pytest.approx(budget)
        assert 0 < time.kept_back < 0.2 * budget


def test_a_spent_budget_still_gives_a_fold() -> None:
    assert divide_budget(600, 700, 20, 5, 1).fold_seconds > 0
    assert divide_fold(5, 1.0, 10.0, 3).steps >= 1
    assert seconds_of_next_fold(300, 20, [Queue((20, 0), -1e6)]) > 0
    assert steps_in(0.1, 1.0) == 1


@pytest.mark.parametrize(
    ("of_step", "of_case", "cases"), [(0.1, 0.2, 8), (0.5, 3.0, 4), (0.01, 0.01, 1), (2.0, 40.0, 9)]
)
def test_a_fold_is_divided_without_rest(of_step: float, of_case: float, cases: int) -> None:
    fold = divide_fold(600, of_step, of_case, cases)
    assert fold.training_seconds + fold.validation_seconds == pytest.approx(600)
    assert fold.validation_seconds == pytest.approx(of_case * cases)
    of_looks = fold.validations * of_case * min(cases, CASES_A_VALIDATION)
    assert fold.validations <= MOST_VALIDATIONS and of_looks <= 0.05 * fold.training_seconds
    taken = fold.steps * of_step + of_looks
    assert fold.training_seconds - of_step < taken <= fold.training_seconds * (1 + 1e-9)


def test_every_fold_that_is_left_gets_what_the_budget_has_left() -> None:
    # 2 % for the report and 0.2 % for delays, or what the report is expected to take
    assert time_for_training(1000, 900, 100, None) == pytest.approx(900 - 22 - 100)
    assert time_for_training(1000, 900, 100, 50) == pytest.approx(900 - 52 - 100)
    left = time_for_training(1000, 900, 100, None)
    done = [30.0, 0.0, 0.0]
    # trained one after the other, all three end with the same
    for fold in range(3):
        more = seconds_of_next_fold(200, done[fold], [Queue(tuple(done[fold:]), left)])
        done[fold], left = done[fold] + more, left - more
    assert done == pytest.approx([(900 - 22 - 100 + 30) / 3] * 3)
    assert left == pytest.approx(0)


def test_planning_again_has_what_is_spent_and_a_share_of_the_rest() -> None:
    assert budget_of_some_folds(1000, 400, 0.5) == pytest.approx(700)
    assert budget_of_some_folds(1000, 1200, 0.5) == 1200


def test_the_smallest_budget_holds_the_folds_and_some_work_besides() -> None:
    assert smallest_budget(100, 500) > 600


def test_shares_are_equal_in_the_end() -> None:
    assert equal_share([0, 0, 0], 30) == pytest.approx(10)
    assert equal_share([10, 0, 0], 30) == pytest.approx(40 / 3)
    assert equal_share([20, 0, 0], 30) == pytest.approx(15), "one that has had more gets nothing"
    assert equal_share([5, 8], -3) == 5
