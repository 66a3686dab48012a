"""The pace of a training, the time left, and when it is said; no clock runs."""

import math

import pytest

from odc_lightning.callbacks.monitors.pace import RECENT_STEPS, WARM_UP, Pace
from odc_lightning.callbacks.monitors.time_left import (
    MOST_LINES,
    WORTH_SAYING,
    Announcer,
    TimeLeft,
    time_left,
)
from odc_lightning.utils.timing import rough_duration, two_digits


class Run:
    """A training by the times of its batches."""

    def __init__(self, step: int = 0) -> None:
        self.now, self.step = 1000.0, step
        self.pace = Pace(step)

    def steps(self, *seconds: float) -> None:
        for duration in seconds:
            self.pace.start_batch(self.now)
            self.now += duration
            self.step += 1
            self.pace.end_batch(self.now, self.step)

    def end_epoch(self, known: float, hidden: float = 0.0) -> None:
        """The end of an epoch, of which the pace sees a part at once."""
        self.now += known
        self.pace.end_epoch(self.now)
        self.now += hidden


class TestPace:
    def test_before_the_first_step(self) -> None:
        pace = Pace(7)
        assert (pace.seconds_per_step, pace.seconds_per_break) == (None, 0.0)
        pace.start_batch(5.0)
        assert pace.seconds_per_step is None
        assert not pace.is_measured(0.0)
        assert Pace(7, 4.0).seconds_per_break == 4.0

    def test_the_first_steps_count_until_there_are_others(self) -> None:
        run = Run()
        run.steps(60.0)
        assert run.pace.seconds_per_step == 60.0
        run.steps(*[30.0] * (WARM_UP - 1))
        assert run.pace.seconds_per_step == pytest.approx(40.0)
        run.steps(2.0)
        assert run.pace.seconds_per_step == 2.0

    def test_enough_is_measured(self) -> None:
        run = Run(step=500)
        run.steps(*[100.0] * WARM_UP, *[3.0] * 4)
        assert not run.pace.is_measured(10.0)  # 4 steps
        run.steps(3.0)
        assert run.pace.is_measured(10.0)
        assert not run.pace.is_measured(16.0)

    def test_a_first_epoch_that_decodes_is_forgotten(self) -> None:
        run = Run()
        run.steps(*[10.0] * 100)
        run.steps(*[1.0] * 59)
        assert run.pace.seconds_per_step is not None
        assert run.pace.seconds_per_step > 1.0
        run.steps(1.0)
        assert run.pace.seconds_per_step == pytest.approx(1.0)  # the last 60 seconds

    def test_slow_steps_are_a_mean_as_well(self) -> None:
        run = Run()
        run.steps(*[90.0, 110.0] * 30)
        assert run.pace.seconds_per_step == pytest.approx(100.0)
        run.steps(*[50.0] * RECENT_STEPS)
        assert run.pace.seconds_per_step == pytest.approx(50.0)

    def test_breaks_are_not_steps(self) -> None:
        run = Run()
        run.steps(*[1.0] * 10)
        run.end_epoch(known=20.0, hidden=10.0)
        assert run.pace.seconds_per_break == 20.0  # so far
        run.steps(1.0)
        assert run.pace.seconds_per_break == 30.0
        assert run.pace.seconds_per_step == pytest.approx(1.0)
        run.steps(1.0)
        run.end_epoch(known=50.0)
        assert run.pace.seconds_per_break == 40.0


class TestTimeLeft:
    def test_steps_and_breaks(self) -> None:
        left = time_left(25, 10, 2.0, 7.0)
        assert left == TimeLeft(25 * 2 + 3 * 7, 25, 2.0, 7.0)
        assert time_left(0, 10, 2.0, 7.0) == TimeLeft(0, 0, 2.0, 7.0)
        assert time_left(-3, 10, 2.0, 7.0) == TimeLeft(0, 0, 2.0, 7.0)

    def test_what_is_not_known(self) -> None:
        assert time_left(25, 10, None, 0.0) is None
        assert time_left(math.inf, 10, 2.0, 0.0) is None
        assert time_left(25, math.inf, 2.0, 7.0) == TimeLeft(50, 25, 2.0, 7.0)  # no epoch ends

    def test_a_limit(self) -> None:
        assert time_left(25, 10, 2.0, 0.0, 600.0) == TimeLeft(50, 25, 2.0, 0.0)
        assert time_left(25, 10, 2.0, 0.0, 30.0) == TimeLeft(30, 25, 2.0, 0.0, limited=True)
        endless = time_left(math.inf, 10, 2.0, 0.0, 30.0)
        assert endless == TimeLeft(30, math.inf, 2.0, 0.0, limited=True)
        assert time_left(25, 10, 2.0, 0.0, -1.0) == TimeLeft(0, 25, 2.0, 0.0, limited=True)

    @pytest.mark.parametrize(
        ("left", "text"),
        [
            ((720, 1200, 0.6, 0), "about 12 minutes of training left: 1,200 steps of 0.6 s"),
            (
                (8000, 1200, 5.55, 24.4),
                "about 2.2 hours of training left: 1,200 steps of 5.5 s, and 24 s after each epoch",
            ),
            (
                (7200, math.inf, 1, 9, True),
                "about 2 hours of training left: the rest of trainer.max_time",
            ),
        ],
    )
    def test_text(self, left: tuple[float, ...], text: str) -> None:
        assert str(TimeLeft(*left)) == text  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.4, "0.4 seconds"),
            (75, "75 seconds"),
            (90, "1.5 minutes"),
            (719, "12 minutes"),
            (5400, "1.5 hours"),
            (86400, "24 hours"),
            (1_000_000, "12 days"),
        ],
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert rough_duration(seconds) == text

    def test_two_digits(self) -> None:
        numbers = [0.0432, 0.6, 1.0, 12.3, 123.4, 1234.5]
        assert [*map(two_digits, numbers)] == ["0.043", "0.6", "1", "12", "120", "1,200"]


def left(seconds: float) -> TimeLeft:
    return TimeLeft(seconds, 100, seconds / 100, 0.0)


class TestAnnouncer:
    def said(self, *pairs: tuple[float, float]) -> list[str | None]:
        """What is said of estimates ``(now, seconds)``: how long, in words."""
        announcer = Announcer()
        lines = [announcer.line(now, left(seconds)) for now, seconds in pairs]
        return [line and line.partition(" of training")[0] for line in lines]

    def test_once_if_it_is_right(self) -> None:
        assert self.said((0, 600), (1, 601), (300, 300), (590, 60)) == [
            "about 10 minutes",
            *[None] * 3,
        ]

    def test_again_if_it_is_off_by_two(self) -> None:
        assert self.said((0, 1200), (200, 1999), (200, 2000)) == [
            "about 20 minutes",
            None,
            "now about 33 minutes",
        ]
        assert self.said((0, 1200), (200, 501), (200, 500)) == [
            "about 20 minutes",
            None,
            "now about 8.3 minutes",
        ]

    def test_a_run_that_should_have_ended(self) -> None:
        assert self.said((0, 600), (700, 119), (800, 120)) == [
            "about 10 minutes",
            None,
            "now about 2 minutes",
        ]

    def test_less_than_a_minute_is_not_worth_a_line(self) -> None:
        assert self.said((0, WORTH_SAYING - 1), (10, 20), (20, 300)) == [
            None,
            None,
            "about 5 minutes",
        ]
        assert self.said((0, 600), (20, 50)) == ["about 10 minutes", None]

    def test_at_most_a_few_times(self) -> None:
        pairs = [(float(i), 100.0 * 3**i) for i in range(10)]
        assert sum(line is not None for line in self.said(*pairs)) == MOST_LINES
