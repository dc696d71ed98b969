"""Overload and neighbours (E1, E3), played out tick by tick on a real pool: no clock, no engine, the same every time."""

from collections import deque
from dataclasses import dataclass, field

import pytest

from parley.core.clock import FakeClock
from parley.core.engine import Engine
from parley.core.errors import Overloaded
from parley.serving.engines.echo import EchoEngine
from parley.serving.scheduling.crowding import may_wait, suggested_wait
from parley.serving.scheduling.fair import Tenant
from parley.serving.scheduling.pool import Pool, PoolPlan, Ticket
from tests.builders_serving import tenant

NUM_SLOTS = 8
SERVICE_TICKS = 80


@dataclass
class Play:
    """A pool whose requests take SERVICE_TICKS each; `finished` has what each project's requests took in all."""

    max_waiting: int = 64
    now: int = 0
    waiting: deque[tuple[Ticket, int]] = field(default_factory=deque)
    running: list[tuple[Ticket, int, int]] = field(default_factory=list)
    finished: dict[str, list[int]] = field(default_factory=dict)
    num_refused: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        async def load() -> Engine:
            return EchoEngine(num_slots=NUM_SLOTS)

        plan = PoolPlan(name="echo", num_slots=NUM_SLOTS, max_waiting=self.max_waiting, load=load)
        self.pool = Pool(plan, FakeClock())

    def send(self, project: str, *, of: str = "") -> None:
        """One request of a project, in the organization `of` or in one of its own."""
        try:
            self.waiting.append((self.pool.enqueue(tenant(project, of), 1), self.now))
        except Overloaded:
            self.num_refused[project] = self.num_refused.get(project, 0) + 1

    def tick(self) -> None:
        self.now += 1
        for ticket, began, sent in [one for one in self.running if self.now - one[1] >= SERVICE_TICKS]:
            self.running.remove((ticket, began, sent))
            ticket.release()
            self.finished.setdefault(ticket.tenant.project_id, []).append(self.now - sent)
        for ticket, sent in [one for one in self.waiting if one[0].granted.is_set()]:
            self.waiting.remove((ticket, sent))
            self.running.append((ticket, self.now, sent))


def p99(times: list[int]) -> int:
    return sorted(times)[int(len(times) * 0.99)]


def neighbour_beside(floods: list[Tenant], *, per_tick: float, organization_id: str = "") -> Play:
    """20,000 ticks with a request of a neighbour in each hundred, and so many of each flood in each tick."""
    play, owed = Play(), 0.0
    for tick in range(20_000):
        owed += per_tick
        while owed >= 1:
            for flood in floods:
                play.send(flood.project_id, of=flood.organization_id)
            owed -= 1
        if tick % 100 == 0:
            play.send("neighbour", of=organization_id)
        play.tick()
    return play


def check_neighbour(beside: Play, alone: Play) -> None:
    assert "neighbour" not in beside.num_refused
    assert len(beside.finished["neighbour"]) >= 0.99 * len(alone.finished["neighbour"])
    assert p99(beside.finished["neighbour"]) <= 1.25 * p99(alone.finished["neighbour"])


@pytest.mark.parametrize("organization_id", ["", "org of flood"])
def test_e3_a_flood_of_a_hundred_times_moves_a_neighbours_p99_by_a_quarter_at_most(organization_id: str) -> None:
    alone = neighbour_beside([], per_tick=0.0)
    beside = neighbour_beside([tenant("flood")], per_tick=1.0, organization_id=organization_id)
    assert beside.num_refused["flood"] > 10_000
    check_neighbour(beside, alone)


def test_e3_an_organization_that_floods_with_many_projects_moves_another_no_further_than_with_one() -> None:
    floods = [tenant(f"flood-{num}", "crowd") for num in range(50)]
    check_neighbour(neighbour_beside(floods, per_tick=0.1), neighbour_beside([], per_tick=0.0))


def test_e3_two_organizations_that_flood_get_as_much_whatever_their_number_of_projects() -> None:
    play = Play()
    for _ in range(20_000):
        for num in range(10):
            play.send(f"many-{num}", of="many")
        play.send("only", of="one")
        play.tick()
    of_many = sum(len(times) for project, times in play.finished.items() if project.startswith("many"))
    assert 0.9 <= of_many / len(play.finished["only"]) <= 1.1


@pytest.mark.parametrize("load", [1, 2, 10])
def test_e1_goodput_stays_at_its_peak_and_the_wait_is_bounded_whatever_is_offered(load: int) -> None:
    play = Play()
    for _ in range(20_000):
        # A slot comes free every ten ticks: so many times that are offered.
        if play.now % 10 == 0:
            for num in range(load):
                play.send(f"project-{num}")
        play.tick()
        assert len(play.waiting) <= 4 * play.max_waiting
    num_finished = sum(map(len, play.finished.values()))
    assert num_finished >= 0.9 * 20_000 / SERVICE_TICKS * NUM_SLOTS
    # What was let in waited for at most the whole queue.
    slowest = max(max(times) for times in play.finished.values())
    assert slowest <= SERVICE_TICKS * (4 * play.max_waiting / NUM_SLOTS + 4)


def test_e1_a_refusal_says_when_to_come_again_and_later_the_longer_the_queue() -> None:
    play = Play(max_waiting=10)
    for _ in range(NUM_SLOTS + 10):
        play.send("a")
    with pytest.raises(Overloaded) as refused:
        play.pool.enqueue(tenant("a"), 1)
    assert refused.value.retry_after_seconds == suggested_wait(num_all=10, num_slots=NUM_SLOTS) == 2.25
    assert suggested_wait(num_all=10_000, num_slots=1) == 30.0


def test_an_organization_without_waiting_requests_finds_a_place_beside_every_flood() -> None:
    for num_organizations in range(1, 8):
        queue: dict[str, dict[str, int]] = {f"org-{num}": {} for num in range(num_organizations)}

        def num_all(of: dict[str, dict[str, int]] = queue) -> int:
            return sum(sum(projects.values()) for projects in of.values())

        for _ in range(300):
            for projects in queue.values():
                for flood in map(str, range(20)):
                    if may_wait(
                        num_own=projects.get(flood, 0),
                        num_of_organization=sum(projects.values()),
                        num_all=num_all(),
                        max_waiting=100,
                    ):
                        projects[flood] = projects.get(flood, 0) + 1
        assert num_all() < 400
        assert may_wait(num_own=0, num_of_organization=0, num_all=num_all(), max_waiting=100)
        # One organization alone has half of the queue at most, and each of its projects a part of that.
        assert all(sum(projects.values()) <= 200 for projects in queue.values())
        assert all(len(projects) == 20 for projects in queue.values())


def test_an_organization_may_not_have_as_many_waiting_as_there_are_places_left() -> None:
    # Of eight places three are left.
    others = {"num_own": 0, "num_all": 5, "max_waiting": 2}
    assert may_wait(num_of_organization=2, **others)
    assert not may_wait(num_of_organization=3, **others)


def test_a_project_may_not_have_as_many_waiting_as_are_left_of_its_organizations_part() -> None:
    # Of eight places an organization has four, of which one is left.
    others = {"num_of_organization": 3, "num_all": 3, "max_waiting": 2}
    assert may_wait(num_own=0, **others)
    assert not may_wait(num_own=1, **others)


def test_free_slots_are_taken_even_where_nobody_may_wait() -> None:
    play = Play(max_waiting=0)
    for _ in range(NUM_SLOTS + 1):
        play.send("a")
    assert play.num_refused == {"a": 1}


def test_a_project_alone_has_every_slot_and_beside_another_leaves_some() -> None:
    play = Play()
    for _ in range(NUM_SLOTS):
        play.send("a")
    assert play.pool.num_free_slots == 0
    for ticket, _ in play.waiting:
        ticket.release()
    play.send("b")
    for _ in range(NUM_SLOTS):
        play.send("a")
    # One of eight is b's, and b's neighbour leaves another free only as long as it has seven itself.
    held = [ticket.tenant.project_id for ticket in play.pool._held]
    assert (held.count("a"), held.count("b")) == (7, 1)


def test_a_request_for_all_slots_gets_them_though_some_are_kept_back() -> None:
    play = Play()
    other = play.pool.enqueue(tenant("b"), 1)
    large = play.pool.enqueue(tenant("a"), NUM_SLOTS)
    assert not large.granted.is_set()
    other.release()
    assert large.granted.is_set()
