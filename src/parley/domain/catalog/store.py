"""The catalog's file, made into core's types: the operator's, with what the installed package brings."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from parley.core.snapshot import Capability, Weights
from parley.domain.catalog.building import Builder
from parley.domain.catalog.entries import CatalogFile, read_file
from parley.domain.catalog.model import CatalogError, Contents, Places, is_valid_name


def read_contents(places: Places, templates: frozenset[str]) -> Contents:
    """The catalog in force, every entry and reference checked. Raises CatalogError."""
    own, warnings = _with_shipped(read_file(places.file), read_file(places.shipped_file))
    build = Builder(places, templates, own.snapshots)
    weights = {entry.name: build.weights(entry) for entry in own.weights}
    default = weights.get(own.default_weights)
    if default is None:
        raise CatalogError(f"{places.file}: default_weights: there are no weights named {own.default_weights!r}")
    speech = _default_speech(own, weights, places.file)
    if default.is_speech:
        raise CatalogError(f"{places.file}: default_weights: {default.name!r} hears, and generates nothing")
    snapshots = {}
    for entry in own.snapshots:
        is_speech = Capability.TRANSCRIBE in entry.capabilities
        snapshots[entry.name] = build.snapshot(entry, own, weights, speech if is_speech else default)
    for alias, target in own.aliases.items():
        if target not in snapshots:
            raise CatalogError(f"{places.file}: aliases: {alias!r} points at {target!r}, which is no snapshot")
        if alias in snapshots or not is_valid_name(alias):
            raise CatalogError(f"{places.file}: aliases: {alias!r} is the name of a snapshot, or no name at all")
    return Contents(
        default_weights=default,
        default_speech_weights=speech,
        weights=weights,
        snapshots=snapshots,
        aliases=dict(own.aliases),
        warnings=tuple(f"{places.file}: {warning}" for warning in warnings),
    )


def _default_speech(own: CatalogFile, weights: Mapping[str, Weights], file: Path) -> Weights | None:
    """What stands behind names that hear; None where a catalog has nothing that does."""
    if own.default_speech_weights is None:
        return None
    speech = weights.get(own.default_speech_weights)
    if speech is None or not speech.is_speech:
        raise CatalogError(
            f"{file}: default_speech_weights: there are no weights named {own.default_speech_weights!r} that hear"
        )
    return speech


def _with_shipped(own: CatalogFile, shipped: CatalogFile) -> tuple[CatalogFile, list[str]]:
    """The operator's file, with all that belongs to bundled weights taken from the package that is installed.

    The file was copied when the folder was new; a later Parley ships other weights, and their hashes come with them.
    """
    gone = own.bundled_weights() - shipped.bundled_weights()
    theirs = own.bundled_weights() | shipped.bundled_weights()
    warnings = [
        f"weights {name!r} are not part of this version; names pinned to them are not served" for name in sorted(gone)
    ]
    default = own.default_weights
    if default in gone:
        default = shipped.default_weights
        warnings.append(f"default_weights: {default!r} serves instead")
    speech = own.default_speech_weights or shipped.default_speech_weights
    if speech in gone:
        speech = shipped.default_speech_weights
        warnings.append(f"default_speech_weights: {speech!r} serves instead")
    # A name that nothing could serve when the file was made, and that this version serves.
    served = {entry.name: entry for entry in shipped.snapshots if entry.weights is not None}
    found = [served.get(entry.name, entry) if entry.weights is None else entry for entry in own.snapshots]
    kept = [
        msgspec.structs.replace(entry, weights=None) if entry.weights in gone else entry
        for entry in found
        if entry.weights not in theirs - gone
    ]
    of_package = [entry for entry in shipped.snapshots if entry.weights in shipped.bundled_weights()]
    names = {entry.name for entry in of_package}
    used = {entry.price for entry in (*of_package, *served.values())}
    priced = {name: price for name, price in shipped.prices.items() if name in used}
    merged = msgspec.structs.replace(
        own,
        default_weights=default,
        default_speech_weights=speech,
        weights=[entry for entry in own.weights if entry.name not in theirs]
        + [entry for entry in shipped.weights if entry.is_bundled],
        snapshots=[entry for entry in kept if entry.name not in names] + of_package,
        prices={**priced, **own.prices},
        aliases={**{alias: target for alias, target in shipped.aliases.items() if target in names}, **own.aliases},
    )
    return merged, warnings
