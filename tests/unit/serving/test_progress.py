"""The watchdog's judgement: silence while work is open, for longer than 30 s and than 20 times the usual pause."""

from parley.serving.engines.progress import Progress, longest_pause


def test_c2_silence_may_last_half_a_minute_where_pauses_are_short():
    assert longest_pause([0.01] * 500, floor_seconds=30.0) == 30.0


def test_c2_silence_may_last_20_times_the_99th_percentile_of_the_pauses():
    pauses = [0.5] * 98 + [4.0] * 2
    assert longest_pause(pauses, floor_seconds=30.0) == 80.0


def test_one_freak_pause_does_not_lengthen_the_patience():
    assert longest_pause([0.5] * 400 + [100.0], floor_seconds=30.0) == 30.0


def test_c2_work_without_a_sign_of_life_is_a_hang_after_the_pause():
    progress = Progress(floor_seconds=30.0)
    progress.begin(100.0)
    assert not progress.is_stalled(130.0)
    assert progress.is_stalled(130.1)
    progress.sign(130.2)
    assert not progress.is_stalled(160.0)


def test_a_child_without_work_may_be_silent():
    progress = Progress(floor_seconds=30.0)
    progress.begin(0.0)
    progress.end()
    assert not progress.is_stalled(10_000.0)


def test_silence_counts_from_the_beginning_of_the_work():
    progress = Progress(floor_seconds=30.0)
    progress.sign(0.0)
    progress.begin(1_000.0)
    assert not progress.is_stalled(1_029.0)


def test_more_work_does_not_hide_a_silence():
    progress = Progress(floor_seconds=30.0)
    progress.begin(0.0)
    progress.begin(29.0)
    assert progress.is_stalled(31.0)


def test_the_time_between_works_is_no_pause():
    progress = Progress(floor_seconds=30.0)
    progress.begin(0.0)
    progress.sign(1.0)
    progress.end()
    for second in range(100):
        progress.sign(1_000.0 * second)
    progress.begin(200_000.0)
    assert progress.is_stalled(200_031.0)


def test_a_new_child_is_not_judged_by_its_predecessors_pauses():
    progress = Progress(floor_seconds=30.0)
    progress.begin(0.0)
    for step in range(1, 100):
        progress.sign(10.0 * step)
    assert not progress.is_stalled(1_100.0)
    progress.forget(1_100.0)
    assert not progress.is_stalled(1_130.0)
    assert progress.is_stalled(1_131.0)
