"""Does a projector see for a model? Tried before either is kept."""

from pathlib import Path

from parley.cli.failures import CommandFailed
from parley.core.errors import ModelLoadFailed
from parley.operations.weights_header import check_projector
from parley.runtimes import try_projector


async def refuse_misfit(model: Path, projector: Path) -> None:
    """Raise CommandFailed or OperatorError, with the reason, for a projector that is none or not this model's."""
    check_projector(projector)
    try:
        await try_projector(model, projector)
    except ModelLoadFailed as error:
        # What stands behind the reason are the runtime's own words.
        raise CommandFailed(f"{projector} does not see for {model}: {error.detail.partition(': ')[0]}") from None
