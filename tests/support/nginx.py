"""Debian's nginx with the sample site of docs/deploy, on free ports, before a service or a recorder of requests."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import create_connection

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from webapp.lab.services.debian import loader_command, unpack_packages
from webapp.lab.services.processes import HOST, free_port, start, stop, tail
from webapp.settings import PROJECT_ROOT

SITE = PROJECT_ROOT / "docs" / "deploy" / "nginx-site.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
START_TIMEOUT = STOP_TIMEOUT = 30.0


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    address: str
    plain_address: str
    """Without TLS."""
    folder: Path

    def client(self) -> httpx2.Client:
        """Return a client that trusts this server's certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        return httpx2.Client(base_url=self.address, verify=context, timeout=60, trust_env=False)

    def logs(self) -> str:
        """Return all that it has logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def write_configuration(
    folder: Path, upstream_port: int, edits: Mapping[str, str] | None = None
) -> tuple[int, int, list[str]]:
    """Put the sample site into Debian's own nginx.conf; return the ports with and without TLS, and nginx's command.

    Only what belongs to another machine is replaced: ports, the certificate's files, folders, the user; and what is in
    `edits`, by pattern.
    """
    root = unpack_packages("nginx", "nginx")
    shutil.copytree(root / "etc" / "nginx", folder / "etc")
    with_tls, plain = free_port(), free_port()
    replaced = {
        r"(?m)^\s*listen \[::\].*$": "",
        r"listen 80;": f"listen {HOST}:{plain};",
        r"listen 443 ": f"listen {HOST}:{with_tls} ",
        r"server 127\.0\.0\.1:8000;": f"server {HOST}:{upstream_port};",
        r"/etc/letsencrypt/live/quiz\.example": str(folder),
        r"/var/log/nginx": str(folder),
        **(edits or {}),
    }
    site = SITE.read_text()
    for pattern, text in replaced.items():
        site, count = re.subn(pattern, text, site)
        assert count, f"{pattern} is not in the sample"
    (folder / "etc" / "sites-enabled" / "poolproof").write_text(site)
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    main = (folder / "etc" / "nginx.conf").read_text()
    # A test as root keeps its files in a folder that www-data cannot enter; without root there is no user to choose.
    main = main.replace("user www-data;", "user root;" if _is_root() else "").replace("/run/nginx.pid", f"{folder}/pid")
    main = main.replace("/etc/nginx", f"{folder}/etc").replace("/var/log/nginx", str(folder))
    (folder / "etc" / "nginx.conf").write_text(main.replace("http {", f"http {{\n{temporary}"))
    _write_certificate(folder)
    command = loader_command(root, root / "usr" / "sbin" / "nginx")
    return with_tls, plain, [*command, "-c", str(folder / "etc" / "nginx.conf"), "-e", str(folder / "main.log")]


def check(command: list[str]) -> str:
    """Return what `nginx -t` says."""
    return subprocess.run([*command, "-t"], capture_output=True, text=True, check=False).stderr


@contextmanager
def run_nginx(folder: Path, upstream_port: int, edits: Mapping[str, str] | None = None) -> Iterator[Nginx]:
    """Run nginx until the block ends, with these changes of the sample."""
    folder.mkdir(parents=True, exist_ok=True)
    with_tls, plain, command = write_configuration(folder, upstream_port, edits)
    log = folder / "output"
    process = start("nginx", [*command, "-g", "daemon off;"], log)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(with_tls):
            assert process.poll() is None, tail(log) + tail(folder / "main.log")
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Nginx(f"https://localhost:{with_tls}", f"http://localhost:{plain}", folder)
    finally:
        assert stop(process, STOP_TIMEOUT)


@dataclass(frozen=True)
class Recorded:
    """A request whose headers have come in by the proxy."""

    connection: int
    headers: Mapping[str, str]


class RecordingUpstream(ThreadingHTTPServer):
    """Stands where the service stands, and keeps what it is sent; each response has so many bytes."""

    daemon_threads = True

    def __init__(self, response_bytes: int = 2) -> None:
        """Listen on a free port."""
        self.requests: list[Recorded] = []
        self.answered = threading.Event()
        """Set when a response has been taken whole."""
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                upstream.requests.append(Recorded(self.client_address[1], dict(self.headers)))
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(200)
                self.send_header("Content-Length", str(response_bytes))
                self.end_headers()
                self.wfile.write(b"x" * response_bytes)
                upstream.answered.set()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__((HOST, 0), Handler)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])


@contextmanager
def run_recorder(response_bytes: int = 2) -> Iterator[RecordingUpstream]:
    """Record until the block ends."""
    with RecordingUpstream(response_bytes) as upstream:
        thread = threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield upstream
        finally:
            upstream.shutdown()
            thread.join()


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0


def _listens(port: int) -> bool:
    with suppress(OSError), create_connection((HOST, port), timeout=5):
        return True
    return False


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = (
        builder.not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(private)
