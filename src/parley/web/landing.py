"""The page at `/`: one static file, filled with this server's address and models. No script, no foreign resource."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from parley.core.snapshot import Capability, Snapshot, Weights

# One name of the catalog: the name, the snapshot behind it, whether it is an alias.
Entry = tuple[str, Snapshot, bool]

_PREFERRED_MODEL = "gpt-3.5-turbo"


class LandingPage:
    """Reads its two files when it is made, and the disk never again."""

    def __init__(self) -> None:
        folder = files("parley.web")
        style = folder.joinpath("landing.css").read_text(encoding="utf-8")
        page = folder.joinpath("landing.html").read_text(encoding="utf-8")
        self._template = Template(page.replace("$style", style))
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        # The page may show its own style and icon, and may do nothing else.
        self.content_security_policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def render(self, base_url: str, entries: Sequence[Entry]) -> bytes:
        """The page as UTF-8. `base_url` is the address that the browser used; it is escaped like everything else."""
        served = [(name, snapshot) for name, snapshot, _ in entries if snapshot.weights is not None]
        text = self._template.substitute(
            base_url=escape(base_url), model=escape(_example_model(served)), models=_table(served)
        )
        return text.encode()


def _example_model(served: Sequence[tuple[str, Snapshot]]) -> str:
    chat = [name for name, snapshot in served if Capability.CHAT in snapshot.capabilities]
    return _PREFERRED_MODEL if _PREFERRED_MODEL in chat or not chat else chat[0]


def _table(served: Sequence[tuple[str, Snapshot]]) -> str:
    """One row per set of weights, with the names that it answers to."""
    if not served:
        return "<p>No model is installed. <code>parley models add FILE.gguf</code> takes one.</p>"
    by_weights: dict[str, tuple[Weights, list[str]]] = {}
    for name, snapshot in served:
        if snapshot.weights is not None:
            by_weights.setdefault(snapshot.weights.name, (snapshot.weights, []))[1].append(name)
    rows = "".join(_row(weights, names) for weights, names in by_weights.values())
    return (
        '<table><thead><tr><th scope="col">Weights</th><th scope="col" class="names">Names they answer to</th>'
        f'<th scope="col" class="number">Context</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(weights: Weights, names: Sequence[str]) -> str:
    about = f"<br>{escape(weights.description)}" if weights.description else ""
    listed = " ".join(f"<code>{escape(name)}</code>" for name in names)
    return (
        f"<tr><td><code>{escape(weights.name)}</code>{about}</td>"
        f'<td class="names">{listed}</td><td class="number">{weights.context_length:,}</td></tr>'
    )
