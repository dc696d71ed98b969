"""`parley ledger`: prove that the ledger is what was written, and take it out. Reads only, beside a running server too."""

import sys
from pathlib import Path

import click

from parley.cli.failures import in_one_line
from parley.cli.options import folder_option
from parley.cli.state import require_installation
from parley.infra.settings import load_settings
from parley.operations.exports import Form, written
from parley.operations.ledger_reading import EXPORTED, exported_entries, verify


@click.group()
def command() -> None:
    """Check and export the ledger."""


@command.command("verify")
@folder_option
def verify_command(data: Path | None) -> None:
    """Walk the whole chain, and compare it with the usage records. Exit code 1, and the first bad entry, where they differ."""
    with in_one_line():
        settings = load_settings({"data": data})
        require_installation(settings)
        verdict = verify(settings)
    for finding in verdict.findings:
        click.echo(finding.text, err=True)
    if verdict.findings:
        sys.exit(1)
    click.echo(f"{verdict.num_entries} entries, all as they were written")


@command.command()
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@folder_option
def export(form: str, data: Path | None) -> None:
    """Write every entry to stdout: as CSV, or as one JSON object a line. Amounts are in nano-dollars."""
    with in_one_line():
        settings = load_settings({"data": data})
        require_installation(settings)
        for line in written(EXPORTED, exported_entries(settings), Form.CSV if form == "csv" else Form.JSON_LINES):
            click.echo(line, nl=False)
