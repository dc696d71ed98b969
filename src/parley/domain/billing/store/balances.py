"""SQL on what stands beside the ledger: grants, budgets, the months' sums, frozen accounts and open holds."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select

from parley.domain.billing.model import Budget, Grant
from parley.domain.billing.store.tables import budgets, frozen_accounts, grants, holds, monthly_spend
from parley.infra.rows import RowStatement, add_to_row

_ADD_SPEND = add_to_row("monthly_spend", key=("scope", "month"), summed=("spent_nano",))
_PUT_HOLD = RowStatement(
    sql="INSERT INTO holds (request_id, amount_nano, state) VALUES (?, ?, ?)"
    " ON CONFLICT (request_id) DO UPDATE SET amount_nano = excluded.amount_nano, state = excluded.state"
)
_DROP_HOLD = RowStatement(sql="DELETE FROM holds WHERE request_id = ?")


def insert_grant(connection: Connection, grant: Grant, *, created_at: float) -> None:
    connection.execute(
        grants.insert().values(
            id=grant.id,
            organization_id=grant.organization_id,
            amount_nano=grant.amount_nano,
            expires_at=grant.expires_at,
            created_at=created_at,
        )
    )


def list_grants(connection: Connection) -> list[Grant]:
    """Every grant, with nothing said of what is left of it."""
    return [
        Grant(id=row.id, organization_id=row.organization_id, amount_nano=row.amount_nano, expires_at=row.expires_at)
        for row in connection.execute(select(grants).order_by(grants.c.expires_at, grants.c.id))
    ]


def set_budget(connection: Connection, scope: str, limit_nano: int | None) -> None:
    """Set a scope's budget, or remove it."""
    connection.execute(delete(budgets).where(budgets.c.scope == scope))
    if limit_nano is not None:
        connection.execute(budgets.insert().values(scope=scope, limit_nano=limit_nano))


def find_budget(connection: Connection, scope: str) -> int | None:
    return connection.execute(select(budgets.c.limit_nano).where(budgets.c.scope == scope)).scalar()


def list_budgets(connection: Connection) -> list[Budget]:
    query = select(budgets).order_by(budgets.c.scope)
    return [Budget(scope=row.scope, limit_nano=row.limit_nano) for row in connection.execute(query)]


def add_spend(connection: Connection, spent: Mapping[tuple[str, str], int]) -> None:
    """Add to the sums of (scope, month)."""
    _ADD_SPEND.execute(connection, [(scope, month, nano) for (scope, month), nano in sorted(spent.items())])


def load_spend(connection: Connection, *, since_month: str, num_months: int = 0) -> dict[str, dict[str, int]]:
    """The sums by month and scope, from that month on, and of at least the newest so many that there are."""
    months = select(monthly_spend.c.month).distinct().order_by(monthly_spend.c.month.desc()).limit(num_months)
    since_month = min([since_month, *connection.execute(months).scalars()])
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(select(monthly_spend).where(monthly_spend.c.month >= since_month)):
        found.setdefault(row.month, {})[row.scope] = row.spent_nano
    return found


def set_frozen(connection: Connection, organization_id: str, *, reason: str | None, now: float) -> None:
    """Freeze an account for a reason, or thaw it with None."""
    connection.execute(delete(frozen_accounts).where(frozen_accounts.c.organization_id == organization_id))
    if reason is not None:
        row = {"organization_id": organization_id, "reason": reason, "since": now}
        connection.execute(frozen_accounts.insert().values(row))


def list_frozen(connection: Connection) -> dict[str, str]:
    """Organization -> why its account is frozen."""
    return {row.organization_id: row.reason for row in connection.execute(select(frozen_accounts))}


def put_holds(connection: Connection, rows: Sequence[tuple[str, int, bytes]]) -> None:
    """Keep open holds as (request, amount, state), in place of what was kept of them before."""
    _PUT_HOLD.execute(connection, rows)


def drop_holds(connection: Connection, request_ids: Sequence[str]) -> None:
    _DROP_HOLD.execute(connection, [(request_id,) for request_id in request_ids])


def list_holds(connection: Connection) -> list[tuple[str, bytes]]:
    """Every hold that is kept: (request, state)."""
    query = select(holds).order_by(holds.c.request_id)
    return [(row.request_id, bytes(row.state)) for row in connection.execute(query)]
