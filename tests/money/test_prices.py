"""Prices: every version is kept, an organization may have its own, and pictures and tuning have theirs in the catalog."""

from dataclasses import replace

import pytest

from parley.core.clock import FakeClock
from parley.core.price import Price
from parley.domain.billing.store import prices
from parley.domain.catalog.model import price_version
from parley.operations.add_upstream import add_upstream
from parley.operations.records import open_records
from parley.operations.remove_model import remove_model
from tests.builders_billing import open_money
from tests.builders_records import SMALL_CATALOG, settings_in, small_catalog
from tests.builders_serving import make_snapshot
from tests.gguf_maker import Shape, write_model
from tests.records.test_add_model import added as add_file
from tests.records.test_add_speech_model import added as add_folder
from tests.records.test_upstream_entries import addition
from tests.whisper_maker import make_whisper

DEAR = Price(version="dear:1", input_token_nano=7, output_token_nano=9, image_nano=(("256x256", 5),))


async def test_an_organization_s_own_price_holds_for_it_alone_and_until_it_is_lifted(place):
    snapshot = make_snapshot("model-1")
    async with open_money(place) as bench:
        await bench.database.transaction(lambda unit: bench.billing.set_price(unit, "org-a", "model-1", DEAR))
        assert bench.billing.price_for("org-a", snapshot) == DEAR
        assert bench.billing.price_for("org-b", snapshot) == snapshot.price
        assert bench.billing.price_for("org-a", make_snapshot("model-2")) == snapshot.price
        clock = bench.clock
    async with open_money(place, clock) as again:
        assert again.billing.price_for("org-a", snapshot) == DEAR
        await again.database.transaction(lambda unit: again.billing.set_price(unit, "org-a", "model-1", None))
        assert again.billing.price_for("org-a", snapshot) == snapshot.price
    async with open_money(place, clock) as last:
        assert last.billing.price_for("org-a", snapshot) == snapshot.price
        assert await last.database.read(lambda connection: prices.find_version(connection, "dear:1")) == DEAR


async def test_a_price_s_version_has_room_where_it_is_kept_however_long_a_name_is(place):
    long = "m" * 128
    version = price_version(f"org-0123456789012345678901/{long}", DEAR.numbers)
    assert version != price_version(f"org-0123456789012345678901/{long}", replace(DEAR, output_token_nano=8).numbers)
    async with open_money(place) as bench:
        price = replace(DEAR, version=version)
        await bench.database.transaction(lambda unit: bench.billing.set_price(unit, "org-a", long, price))
        assert bench.billing.price_for("org-a", make_snapshot(long)) == price


async def test_versions_that_were_in_force_stay_known_when_prices_change(place):
    old, new = make_snapshot(price=DEAR), make_snapshot(price=replace(DEAR, version="dear:2", input_token_nano=8))
    async with open_money(place) as bench:
        for snapshot in (old, new, old):
            await bench.database.transaction(lambda unit, shown=snapshot: bench.billing.keep_prices(unit, [shown]))

        def find(connection):
            return [prices.find_version(connection, version) for version in ("dear:1", "dear:2", "none")]

        assert await bench.database.read(find) == [old.price, new.price, None]


async def test_a_start_keeps_every_price_of_the_catalog(tmp_path):
    async with open_records(settings_in(tmp_path / "data"), FakeClock()) as records:
        versions = {snapshot.price.version for _, snapshot, _ in records.catalog.entries()}

        def find(connection):
            return {version for version in versions if prices.find_version(connection, version) is not None}

        assert await records.database.read(find) == versions
        assert len(versions) > 5


@pytest.mark.parametrize("entry", ["training = 5", 'images = { "256x256" = 7 }'])
def test_what_a_catalog_prices_besides_changes_the_price_s_name(tmp_path, entry):
    plain = small_catalog(tmp_path / "plain").files.read().snapshots["gpt-4-0314"].price
    text = SMALL_CATALOG.replace("output = 60_000", f"output = 60_000\n{entry}")
    other = small_catalog(tmp_path / "other", text=text).files.read().snapshots["gpt-4-0314"].price
    assert (plain.input_token_nano, plain.image_nano, plain.training_token_nano) == (30_000, (), 0)
    assert (other.training_token_nano, other.image_nano) in {(5, ()), (0, (("256x256", 7),))}
    assert plain.version != other.version


@pytest.mark.parametrize("change", ["model", "upstream", "speech model", "removal"])
async def test_prices_that_a_change_of_the_catalog_puts_into_force_are_kept(tmp_path, change):
    def found(connection):
        versions = {snapshot.price.version for _, snapshot, _ in records.catalog.entries()}
        return versions, {version for version in versions if prices.find_version(connection, version) is not None}

    model = write_model(tmp_path / "my-model.gguf", Shape(context_length=2048))
    async with open_records(settings_in(tmp_path / "data"), FakeClock()) as records:
        if change == "removal":
            await add_file(records, model)
        before, _ = await records.database.read(found)
        path = records.folder.catalog_path
        path.write_text(path.read_text().replace("output = 60_000", "output = 61_000"))
        if change == "model":
            await add_file(records, model)
        elif change == "upstream":
            await add_upstream(records, addition())
        elif change == "speech model":
            await add_folder(records, make_whisper(tmp_path / "tiny"))
        else:
            await remove_model(records, "my-model", lambda _: False)
        now, kept = await records.database.read(found)
        assert records.catalog.resolve("gpt-4").price.output_token_nano == 61_000
        assert now - before
        assert kept == now
