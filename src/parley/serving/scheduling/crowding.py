"""May one more request wait? No flood may take the places that its neighbours need."""

# The queue has room for so many projects that each have as many waiting as one may have.
_NUM_CROWDS = 4
_LONGEST_WAIT_SECONDS = 30.0


def may_wait(*, num_own: int, num_of_organization: int, num_all: int, max_waiting: int) -> bool:
    """Whether a project may add one to `num_all` waiting requests, of which it has `num_own` and its organization some more.

    Each project may have `max_waiting`, and no organization more than there are places left for all: the fuller the queue,
    the less of it one may have, so that there is always a place for an organization that has none yet. So for a project in its
    organization's part, which is at most half of the queue.
    """
    num_left = _NUM_CROWDS * max_waiting - num_all
    num_left_of_organization = _NUM_CROWDS // 2 * max_waiting - num_of_organization
    return num_of_organization < num_left and num_own < min(max_waiting, num_left_of_organization)


def suggested_wait(*, num_all: int, num_slots: int) -> float:
    """Seconds after which a refused request has better prospects: one for each round of slots that waits before it."""
    return min(1.0 + num_all / num_slots, _LONGEST_WAIT_SECONDS)
