"""May one more request wait? A flood of one project must not take the places that its neighbours need."""

# The queue has room for so many projects that each have as many waiting as one may have.
_NUM_CROWDS = 4
_LONGEST_WAIT_SECONDS = 30.0


def may_wait(*, num_own: int, num_all: int, max_waiting: int) -> bool:
    """Whether a project that has `num_own` of `num_all` waiting requests may add one.

    Each project may have `max_waiting`, and never more than there are places left for all: the fuller the queue, the less
    of it one project may have, so that there is always a place for who has none yet.
    """
    return num_own < min(max_waiting, _NUM_CROWDS * max_waiting - num_all)


def suggested_wait(*, num_all: int, num_slots: int) -> float:
    """Seconds after which a refused request has better prospects: one for each round of slots that waits before it."""
    return min(1.0 + num_all / num_slots, _LONGEST_WAIT_SECONDS)
