"""Who leaves the last slots to whom: organizations to each other, and projects within what their organization may have."""

from parley.serving.scheduling.fair import Room
from parley.serving.scheduling.shares import Shares
from tests.builders_serving import tenant

FLOOD, SIBLING, STRANGER = tenant("flood", "org"), tenant("sibling", "org"), tenant("stranger", "other")


def num_taken(shares: Shares, who) -> int:
    """How many slots a flood comes to have, one by one, of 16."""
    taken = 0
    while taken < 16 and shares.room(who, 1) is Room.THERE:
        shares.take(who, 1)
        taken += 1
    return taken


def served(shares: Shares, *others) -> Shares:
    for other in others:
        shares.take(other, 1)
        shares.give_back(other, 1)
    return shares


def test_a_project_alone_may_have_every_slot():
    assert num_taken(Shares(16), FLOOD) == 16


def test_an_eighth_is_left_to_other_organizations():
    assert num_taken(served(Shares(16), STRANGER), FLOOD) == 14


def test_of_four_slots_one_is_left_to_other_organizations_and_of_three_none():
    assert [num_taken(served(Shares(num), STRANGER), FLOOD) for num in (4, 3)] == [3, 3]


def test_an_eighth_is_left_to_the_other_projects_of_an_organization():
    assert num_taken(served(Shares(16), SIBLING), FLOOD) == 14


def test_what_is_left_to_strangers_does_not_serve_siblings_nor_the_other_way_round():
    shares = served(Shares(16), STRANGER, SIBLING)
    assert num_taken(shares, FLOOD) == 13
    assert shares.room(SIBLING, 1) is Room.THERE
    shares.take(SIBLING, 1)
    assert shares.room(SIBLING, 1) is not Room.THERE
    assert shares.room(STRANGER, 1) is Room.THERE


def test_many_projects_of_one_organization_have_no_more_than_one():
    shares = served(Shares(16), STRANGER)
    taken = 0
    for number in range(100):
        project = tenant(f"p{number}", "org")
        if shares.room(project, 1) is Room.THERE:
            shares.take(project, 1)
            taken += 1
    assert taken == 14
    assert shares.room(STRANGER, 2) is Room.THERE


def test_who_holds_none_may_take_more_than_a_share():
    assert served(Shares(16), STRANGER).room(FLOOD, 16) is Room.THERE


def test_where_runs_are_long_an_eighth_is_left_to_who_has_not_come_yet():
    shares = Shares(16, keeps_for_newcomers=True)
    assert num_taken(shares, FLOOD) == 14
    assert shares.room(STRANGER, 2) is Room.THERE


def test_few_slots_are_not_kept_back():
    assert num_taken(served(Shares(3), STRANGER, SIBLING), FLOOD) == 3


def test_neighbours_that_have_not_come_for_long_are_forgotten():
    assert num_taken(served(Shares(16), STRANGER, *[FLOOD] * 400), FLOOD) == 14
    assert num_taken(served(Shares(16), STRANGER, *[FLOOD] * 512), FLOOD) == 16
