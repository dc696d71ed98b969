"""The trial of money on PostgreSQL; what it finds on SQLite is `money_rows.a4`."""

import pytest

from tests.faults.money_trial import prepare, run_trial
from tests.faults.money_truth import judge
from tests.postgres import MISSING, is_installed, running_cluster

SEED = 5


@pytest.mark.skipif(not is_installed(), reason=MISSING)
def test_a4_b1_the_ledger_is_the_truth_on_postgresql_too(tmp_path):
    with running_cluster() as socket_folder:
        trial = prepare(tmp_path, seed=SEED, database_url=f"postgresql://parley@/postgres?host={socket_folder}")
        run_trial(trial, num_lives=3)
        verdict = judge(trial)
        assert verdict.is_sound, (f"seed {trial.seed}", verdict)
        # Else nothing was tried.
        assert trial.num_kills
        assert verdict.num_exact > verdict.num_whole > 5 * trial.num_kills
