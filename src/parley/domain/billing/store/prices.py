"""SQL on prices: every version that was ever in force, and what organizations pay instead of the usual price."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from parley.core.price import Price
from parley.domain.billing.store.tables import organization_prices, price_versions

_NUMBERS = (
    "input_token_nano",
    "cached_token_nano",
    "output_token_nano",
    "audio_second_nano",
    "training_token_nano",
)


def keep_versions(connection: Connection, prices: Iterable[Price], *, now: float) -> None:
    """Keep the versions that are not kept yet. A version never changes: its name holds a digest of its numbers."""
    known = set(connection.execute(select(price_versions.c.version)).scalars())
    for price in prices:
        if price.version not in known:
            known.add(price.version)
            connection.execute(
                price_versions.insert().values(version=price.version, price=_to_json(price), first_seen_at=now)
            )


def find_version(connection: Connection, version: str) -> Price | None:
    row = connection.execute(select(price_versions).where(price_versions.c.version == version)).first()
    return None if row is None else _price(row.version, row.price)


def set_organization_price(
    connection: Connection, organization_id: str, model: str, version: str | None, *, now: float
) -> None:
    """From now on the organization pays this version for the model; None: what everybody pays. Nothing is overwritten."""
    row = {"organization_id": organization_id, "model": model, "version": version, "since": now}
    connection.execute(organization_prices.insert().values(row))


def list_organization_prices(connection: Connection) -> dict[tuple[str, str], Price]:
    """The prices in force of organizations that have their own, by (organization, model)."""
    prices = {row.version: _price(row.version, row.price) for row in connection.execute(select(price_versions))}
    found: dict[tuple[str, str], Price] = {}
    for row in connection.execute(select(organization_prices).order_by(organization_prices.c.number)):
        if row.version is None:
            found.pop((row.organization_id, row.model), None)
        else:
            found[row.organization_id, row.model] = prices[row.version]
    return found


def _to_json(price: Price) -> dict[str, Any]:
    return {name: getattr(price, name) for name in _NUMBERS} | {"image_nano": [list(pair) for pair in price.image_nano]}


def _price(version: str, numbers: dict[str, Any]) -> Price:
    images = tuple((str(size), int(nano)) for size, nano in numbers.get("image_nano", []))
    return Price(version=version, image_nano=images, **{name: int(numbers.get(name, 0)) for name in _NUMBERS})
