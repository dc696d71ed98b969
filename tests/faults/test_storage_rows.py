"""The faults of storage, row by row, small; `make faults` runs them at their full size."""

from pathlib import Path

import pytest

from tests.faults.process_rows import SMALL
from tests.faults.storage_rows import b1, b2, b3, b7, replies_behind_their_sync
from tests.small_disk import NotHere


async def holds(row, folder: Path) -> None:
    try:
        figures = await row(folder, SMALL)
    except NotHere as lack:
        pytest.skip(str(lack))
    assert figures
    assert [figure for figure in figures if not figure.holds and not figure.is_timing] == []


async def test_b1_a_server_starts_on_a_grown_ledger(tmp_path):
    await holds(b1, tmp_path)


async def test_b2_the_log_is_on_the_disk_before_the_last_byte_is_on_the_wire(tmp_path):
    await holds(b2, tmp_path)


WRITE = '11 pwrite64(5</data/parley.db-wal>, "x"..., 4096, 0) = 4096'
SYNC = "11 fdatasync(5</data/parley.db-wal>) = 0"
SEND = '12 sendto(9<socket:[1]>, "HTTP/1.1 200 OK\\r\\nx-request-id: req_1\\r\\n\\r\\n{\\"usage\\":1}", 99, 0, NULL, 0) = 99'


@pytest.mark.parametrize(
    ("lines", "num_behind"),
    [
        ([WRITE, SYNC, SEND], 1),
        ([WRITE, SEND, SYNC], 0),
        ([SYNC, WRITE, SEND], 0),
        ([WRITE, "11 fdatasync(5</data/parley.db-wal> <unfinished ...>", SEND, "11 <... fdatasync resumed>) = 0"], 0),
        ([WRITE, "11 fdatasync(5</data/parley.db-wal> <unfinished ...>", "11 <... fdatasync resumed>) = 0", SEND], 1),
        ([SYNC.replace("-wal", "-shm"), SEND], 0),
    ],
)
def test_b2_a_trace_in_the_wrong_order_is_seen(lines, num_behind):
    assert replies_behind_their_sync(lines, ["req_1"]) == num_behind


async def test_b3_a_full_disk_loses_nothing_and_refuses_what_is_new(tmp_path):
    await holds(b3, tmp_path)


async def test_b7_a_reader_that_stays_does_not_let_the_log_grow_without_end(tmp_path):
    await holds(b7, tmp_path)
