"""An upstream over TLS: whose certificates are believed, and that the key goes to no other."""

import asyncio
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from parley.infra.settings import environment_of_programs
from tests.builders_engines import HANG_SECONDS
from tests.builders_upstreams import fake_upstream, words
from tests.live import ROOT

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test")
# Python reads which certificates to trust when it starts.
_PROGRAM = """
import asyncio, sys
from parley.core.errors import ModelLoadFailed
from tests.builders_upstreams import engine_on, upstream_at
async def main():
    try:
        async with engine_on(upstream_at(sys.argv[1])):
            print("ready")
    except ModelLoadFailed as failed:
        print(failed.detail)
asyncio.run(main())
"""


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a private CA: its certificate is ca.crt."""
    folder = tmp_path_factory.mktemp("ca")
    openssl(folder, "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30")
    return folder


def serving(authority: Path, *, address: str = "127.0.0.1", days: int = 30) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate of the CA for this address that ends in so many days."""
    (authority / "server.ext").write_text(f"subjectAltName=IP:{address}\n")
    openssl(authority, "req", *_KEY, "-keyout", "server.key", "-out", "server.csr")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "server.ext", "-days", str(days))
    openssl(authority, "x509", "-req", "-in", "server.csr", *signed, "-out", "server.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    return context


async def reached(url: str, *, trusted: Path | None) -> str:
    """What an engine on this address says of it, in a process that trusts these certificates."""
    environment = {**environment_of_programs(), "PYTHONPATH": ":".join(sys.path)}
    environment |= {} if trusted is None else {"SSL_CERT_FILE": str(trusted)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, url, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(HANG_SECONDS):
        told, _ = await process.communicate()
    return told.decode().strip()


async def test_a_private_authority_is_trusted_where_ssl_cert_file_names_it(authority: Path) -> None:
    async with fake_upstream(words(1), tls=serving(authority)) as fake:
        assert await reached(fake.url, trusted=authority / "ca.crt") == "ready"
        assert fake.num_probes == 1
        assert "Certificate" in await reached(fake.url, trusted=None)
        assert fake.num_probes == 1


@pytest.mark.parametrize(("address", "days"), [("127.0.0.1", -1), ("127.0.0.9", 30)], ids=["expired", "another host's"])
async def test_the_key_does_not_go_to_a_server_whose_certificate_is_not_good(
    authority: Path, address: str, days: int
) -> None:
    async with fake_upstream(words(1), tls=serving(authority, address=address, days=days)) as fake:
        assert "Certificate" in await reached(fake.url, trusted=authority / "ca.crt")
        assert fake.num_connections == 0
