"""The engine's lab and the API for what is kept, what is deleted and who is told."""

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import Lab
from tests.integration.api.harness import WITHIN_S, served

HOOKS = "hooks.example"


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    """Every part of the engine under our hand; private receivers on the loopback are allowed."""
    quick = {"retry_base_s": 0.0, "fetch_allow_hosts": ("127.0.0.1",)}
    tools = Toolbox(settings.model_copy(update=quick))
    yield Lab(tools, OwnerId(tools.ledger.create_owner("lab")))
    tools.close()


@pytest.fixture
def client(lab: Lab) -> Iterator[httpx.Client]:
    """The API as the lab's owner calls it."""
    key = lab.tools.ledger.create_api_key(lab.owner, "test")
    with served(lab.tools) as address:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=address, headers=headers, timeout=WITHIN_S) as made:
            yield made


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Key and certificate of `hooks.example` in one file, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOOKS)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOOKS)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    shown = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "pair.pem").write_bytes(private + shown)
    (folder / "trusted.pem").write_bytes(shown)
    return folder / "pair.pem", ssl.create_default_context(cafile=str(folder / "trusted.pem"))
