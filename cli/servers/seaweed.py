"""SeaweedFS: the object store of a machine without an S3. It would listen everywhere and call home; not here."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from cli.servers import wheels
from cli.servers.ports import LOOPBACK, free_ports, is_free
from cli.servers.process import Child, Guard, NotReady, Recipe
from cli.servers.secrets import StackSecrets, write_private

# Go lets the heap double before it collects: 560 MB after an hour's recording. With this it stays at 230, and spends
# no more; at 200MiB it would collect all the time.
HEAP_LIMIT = "400MiB"
GRACE_S = 5.0  # it takes 2.5; once in four it does not answer SIGTERM at all
PROBE_TIMEOUT_S = 5
SERVICES = ("master", "volume", "filer", "s3", "admin")


@dataclass(frozen=True)
class S3Endpoint:
    url: str
    access_key: str
    secret_key: str
    bucket: str


def start(folder: Path, logs: Path, secrets: StackSecrets, bucket: str, guard: Guard) -> tuple[Child, S3Endpoint]:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    write_private(folder / "s3.json", _identities(secrets))
    http, grpc = _ports(folder / "ports.json")
    recipe = Recipe(
        "seaweedfs",
        [wheels.weed(), "-logtostderr=true", "mini", *_flags(http, grpc, bucket)],
        logs / "seaweedfs.log",
        environment={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "GOMEMLIMIT": HEAP_LIMIT},
        folder=folder,
        grace_s=GRACE_S,
        leftovers=[Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock") for service, port in grpc.items()],  # noqa: S108
    )
    endpoint = S3Endpoint(f"http://{LOOPBACK}:{http['s3']}", secrets.s3_access_key, secrets.s3_secret_key, bucket)
    return Child(recipe, guard), endpoint


def _identities(secrets: StackSecrets) -> str:
    credentials = [{"accessKey": secrets.s3_access_key, "secretKey": secrets.s3_secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return json.dumps({"identities": [{"name": "vibeinsight", "credentials": credentials, "actions": actions}]})


def _ports(memory: Path) -> tuple[dict[str, int], dict[str, int]]:
    """The ports of the last start, if they are free: the master's state on disk is named after its port."""
    ports = json.loads(memory.read_text()) if memory.exists() else []
    if not ports or not all(map(is_free, ports)):
        ports = free_ports(2 * len(SERVICES))
        memory.write_text(json.dumps(ports))
    return dict(zip(SERVICES, ports, strict=False)), dict(zip(SERVICES, ports[len(SERVICES) :], strict=True))


def _flags(http: dict[str, int], grpc: dict[str, int], bucket: str) -> list[str]:
    return [
        "-dir=data",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *(f"-{service}.port={port}" for service, port in http.items()),
        *(f"-{service}.port.grpc={port}" for service, port in grpc.items()),
        "-s3.config=s3.json",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.localSocket=s3.sock",  # relative: a socket's path may have 107 bytes only
        "-filer.localSocket=filer.sock",
        "-s3.allowedOrigins=*",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        f"-bucket={bucket}",
    ]


def probe(endpoint: S3Endpoint) -> None:
    """Listing works before writing does, so a real object is put."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        s3={"addressing_style": "path"},
        retries={"max_attempts": 0},
        connect_timeout=PROBE_TIMEOUT_S,
        read_timeout=PROBE_TIMEOUT_S,
        proxies={},
    )
    client = boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        config=config,
    )
    try:
        with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=endpoint.bucket)
        client.put_object(Bucket=endpoint.bucket, Key=".probe", Body=b"probe")
    except (BotoCoreError, ClientError) as error:
        raise NotReady(type(error).__name__) from error
