"""A1 to A8, B1: a server that is killed at any moment, under clients that leave, loses nothing and charges nothing twice."""

import pytest

from tests.faults.money_trial import prepare, run_trial
from tests.faults.money_truth import judge
from tests.postgres import MISSING, is_installed, running_cluster

SEED = 5


def holds(trial):
    verdict = judge(trial)
    assert verdict.is_sound, (f"seed {trial.seed}", verdict)
    # Else nothing was tried.
    assert trial.num_kills
    assert verdict.num_whole > 5 * trial.num_kills
    assert verdict.num_exact > verdict.num_whole


def test_a4_b1_the_ledger_is_the_truth_whenever_the_server_is_killed(tmp_path):
    trial = prepare(tmp_path, seed=SEED)
    run_trial(trial, num_lives=8)
    holds(trial)


@pytest.mark.skipif(not is_installed(), reason=MISSING)
def test_a4_b1_the_ledger_is_the_truth_on_postgresql_too(tmp_path):
    with running_cluster() as socket_folder:
        trial = prepare(tmp_path, seed=SEED + 1, database_url=f"postgresql://parley@/postgres?host={socket_folder}")
        run_trial(trial, num_lives=3)
        holds(trial)
