"""The plateau rule, epoch by epoch, as the authors' training loop decides."""
import pytest

from dlinknet.training.schedules import Decision, PlateauRule


def test_a_plateau_divides_the_rate_beyond_three_epochs_and_stops_beyond_six():
    rule = PlateauRule(2e-4)
    assert rule.update(1.0) == Decision(improved=True)
    assert [rule.update(loss) for loss in (1.0, 1.1, 2.0)] == [Decision()] * 3      # an equal loss is not a lower one
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
    assert [rule.update(0.95) for _ in range(3)] == [Decision()] * 3 and rule.learning_rate == pytest.approx(4e-5)


def test_training_stops_below_the_lowest_rate():
    rule = PlateauRule(1e-6)
    for loss in (1.0, 1.0, 1.0, 1.0):
        assert not rule.update(loss).stop
    assert rule.update(1.0).restore and rule.learning_rate == pytest.approx(2e-7)
    assert "below 5e-7" in rule.update(1.0).stop


def test_state_is_all_there_is():
    rule = PlateauRule(2e-4)
    for loss in (1.0, 1.2, 1.3):
        rule.update(loss)
    twin = PlateauRule(**rule.state())
    for loss in (1.1, 1.1, 0.5, 0.6):
        assert rule.update(loss) == twin.update(loss) and rule == twin
