"""`parley audit`: who changed what, from where. Reads only, beside a running server too."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from parley.cli.failures import in_one_line
from parley.cli.options import folder_option, form_options
from parley.cli.state import require_installation
from parley.cli.tables import print_table
from parley.core.actor import ActorKind
from parley.domain.audit.model import AuditEntry, AuditFilter
from parley.infra.settings import load_settings
from parley.operations.audit_reading import EXPORTED, exported, read_audit_log
from parley.operations.exports import Form, written

_SHOWN = 50
_NAMES = {
    ActorKind.COMMAND_LINE: "the command line",
    ActorKind.VISITOR: "a visitor",
    ActorKind.SESSION: "a session",
    ActorKind.SERVER: "the server",
}


@click.command()
@click.option("--org", help="Id of one organization. [all]", metavar="ID")
@click.option("--since", type=click.DateTime(formats=["%Y-%m-%d"]), help="The first day, in UTC.", metavar="DATE")
@form_options
@folder_option
def command(org: str | None, since: datetime | None, form: Form | None, data: Path | None) -> None:
    """Show the last 50 changes, or with --csv or --json all of them. The newest comes first."""
    wanted = AuditFilter(since=None if since is None else since.replace(tzinfo=UTC).timestamp())
    with in_one_line():
        settings = load_settings({"data": data})
        require_installation(settings)
        entries = read_audit_log(settings, org, wanted)
        if form is None:
            print_table(("TIME", "WHAT", "OF", "BY", "FROM"), [_shown(entry) for entry in islice(entries, _SHOWN)])
            return
        for line in written(EXPORTED, (exported(entry) for entry in entries), form):
            click.echo(line, nl=False)


def _shown(entry: AuditEntry) -> tuple[str, ...]:
    moment = datetime.fromtimestamp(entry.effective_at, UTC)
    actor = entry.actor_email or (entry.actor_id if entry.actor_kind is ActorKind.API_KEY else _NAMES[entry.actor_kind])
    return (f"{moment:%Y-%m-%d %H:%M:%S}Z", entry.change.type, entry.change.resource_id, actor, entry.address or "")
