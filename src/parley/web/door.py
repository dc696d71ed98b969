"""The page behind the links of mails, `/invite` and `/reset`: a static form, with one script of its own and nothing foreign."""

import base64
import hashlib
from importlib.resources import files
from string import Template


class DoorPage:
    """Reads its three files when it is made, and the disk never again."""

    def __init__(self) -> None:
        folder = files("parley.web")
        parts = {
            kind: folder.joinpath(f"door.{suffix}").read_text(encoding="utf-8")
            for kind, suffix in (("style", "css"), ("script", "js"))
        }
        page = folder.joinpath("door.html").read_text(encoding="utf-8")
        self.body = Template(page).substitute(parts).encode()
        self.content_security_policy = (
            f"default-src 'none'; style-src '{_digest(parts['style'])}'; script-src '{_digest(parts['script'])}'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
