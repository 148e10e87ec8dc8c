"""A real time-stamping authority for tests: a chain made on the fly, and OpenSSL that answers requests."""

import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REPLY = {"Content-Type": "application/timestamp-reply"}
_CONFIGURATION = """
[tsa]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
{accuracy}
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def issue(
    name,
    issuer=None,
    *,
    is_authority=False,
    usages=(ExtendedKeyUsageOID.TIME_STAMPING,),
    critical=True,
    days=(-20_000, 20_000),
    key=None,
) -> Issued:
    """A certificate: a root where no issuer is given, an intermediate, or one that signs stamps."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(is_authority or issuer is None, None), critical=True)
    )
    if issuer and not is_authority:
        builder = builder.add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=critical)
    return Issued(builder.sign(issuer.key if issuer else own, hashes.SHA256()), own)


@dataclass(frozen=True)
class Authority:
    """OpenSSL with a signer's certificate and what leads to its root."""

    folder: Path
    root: Issued
    middle: Issued
    signer: Issued

    @property
    def root_pem(self) -> bytes:
        return self.root.pem

    def reply(self, request: bytes) -> bytes:
        """What the authority answers to a request: DER of a TimeStampResp."""
        (self.folder / "request.tsq").write_bytes(request)
        subprocess.run(
            [
                *("openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa"),
                *("-queryfile", "request.tsq", "-signer", "signer.pem", "-inkey", "signer.key"),
                *("-chain", "chain.pem", "-out", "reply.tsr"),
            ],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return (self.folder / "reply.tsr").read_bytes()


def new_authority(
    folder: Path, name="Test", *, accuracy="secs:1", carries_chain=True, **signer_options
) -> Authority:
    """An authority with a root of its own. The root is not in its answers, as with most public ones."""
    folder.mkdir(parents=True, exist_ok=True)
    root = issue(f"{name} root")
    middle = issue(f"{name} intermediate", root, is_authority=True)
    signer = issue(f"{name} time stamps", middle, **signer_options)
    return authority_of(folder, root, middle, signer, accuracy=accuracy, carries_chain=carries_chain)


def authority_of(folder, root, middle, signer, *, accuracy="secs:1", carries_chain=True) -> Authority:
    (folder / "signer.pem").write_bytes(signer.pem)
    (folder / "chain.pem").write_bytes(middle.pem if carries_chain else signer.pem)
    (folder / "signer.key").write_bytes(
        signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    line = f"accuracy = {accuracy}" if accuracy else ""
    (folder / "tsa.cnf").write_text(_CONFIGURATION.format(folder=folder, accuracy=line))
    (folder / "serial").write_text("1000\n")
    return Authority(folder, root, middle, signer)


@contextmanager
def serving(answer):
    """A server on loopback: ``answer`` gets a request's body and gives (status, headers, chunks of the body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, chunks = answer(body)
            with suppress(ConnectionError):  # whoever asks may have heard enough
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for chunk in chunks:
                    self.wfile.write(chunk)
                    self.wfile.flush()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stamped_by(authority):
    """What a server of this authority answers."""
    return lambda body: (200, REPLY, [authority.reply(body)])
