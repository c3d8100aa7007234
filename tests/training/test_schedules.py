"""The plateau rule of D-LinkNet's authors, epoch by epoch, and the timetables, step by step."""

import pytest

from dlinknet.training.schedules import Decision, PlateauRule, Timetable


def test_a_plateau_divides_the_rate_beyond_three_epochs_and_stops_beyond_six():
    rule = PlateauRule(2e-4)
    assert rule.update(1.0) == Decision(improved=True)
    assert [rule.update(loss) for loss in (1.0, 1.1, 2.0)] == [
        Decision()
    ] * 3  # an equal loss is not a lower one
    rates = []
    for _ in range(3):
        assert rule.update(1.5) == Decision(restore=True)
        rates.append(rule.learning_rate)
    assert rates == pytest.approx([4e-5, 8e-6, 1.6e-6])
    assert rule.update(1.5).stop == "no lower training loss in 7 epochs"


def test_a_lower_loss_starts_the_count_again_and_keeps_the_rate():
    rule = PlateauRule(2e-4)
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0):
        decision = rule.update(loss)
    assert decision.restore and rule.learning_rate == pytest.approx(4e-5)
    assert rule.update(0.9) == Decision(improved=True)
    assert [rule.update(0.95) for _ in range(3)] == [
        Decision()
    ] * 3 and rule.learning_rate == pytest.approx(4e-5)


def test_training_stops_below_the_lowest_rate():
    rule = PlateauRule(1e-6)
    for loss in (1.0, 1.0, 1.0, 1.0):
        assert not rule.update(loss).stop
    assert rule.update(1.0).restore and rule.learning_rate == pytest.approx(2e-7)
    assert "below 5e-7" in rule.update(1.0).stop


def test_a_rule_that_was_saved_and_read_decides_the_same():
    rule = PlateauRule(2e-4)
    for loss in (1.0, 1.2, 1.3):
        rule.update(loss)
    twin = PlateauRule.from_dict(rule.to_dict())
    for loss in (1.1, 1.1, 0.5, 0.6):
        assert rule.update(loss) == twin.update(loss) and rule == twin


def timetable(kind, steps=100, **more):
    table = Timetable(kind, 0.1, steps, 10, **more)
    assert table.learning_rate == table.advance(0)
    return [table.advance(step) for step in range(steps + 2)]


def test_one_cycle_rises_for_three_tenths_and_falls_to_nearly_nothing():
    rates = timetable("one_cycle")
    assert rates[0] == pytest.approx(0.1 / 25) and rates[29] == pytest.approx(0.1) == max(rates)
    assert rates[99] == pytest.approx(0.1 / 25e4) == rates[101], "later steps have the last one's"
    assert rates[:30] == sorted(rates[:30]) and rates[29:] == sorted(rates[29:], reverse=True)
    # half way up, at step 14.5, the mean of both ends
    assert (rates[14] + rates[15]) / 2 == pytest.approx((0.1 / 25 + 0.1) / 2, rel=1e-6)


def test_cosine_and_steps_by_hand():
    rates = timetable("cosine")
    assert (
        rates[0] == 0.1
        and rates[50] == pytest.approx(0.05)
        and rates[25] == pytest.approx(0.05 * (1 + 2**-0.5))
    )
    rates = timetable("step", epochs=3, factor=0.5)
    assert [rates[step] for step in (0, 29, 30, 59, 60, 90)] == pytest.approx(
        [0.1, 0.1, 0.05, 0.05, 0.025, 0.0125]
    )
    assert set(timetable("constant")) == {0.1}
    assert Timetable("cosine", 0.1, 100, 10).update(9.0) == Decision()


def test_timetables_are_pytorchs():
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install torch==2.13.0"
    )
    lr = torch.optim.lr_scheduler
    for kind, make in (
        ("one_cycle", lambda o: lr.OneCycleLR(o, 0.1, total_steps=57)),
        ("cosine", lambda o: lr.CosineAnnealingLR(o, 57)),
    ):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
        schedule = make(optimizer)
        for step, rate in enumerate(timetable(kind, 57)[:57]):
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), (kind, step)
            optimizer.step()
            if step < 56:
                schedule.step()
