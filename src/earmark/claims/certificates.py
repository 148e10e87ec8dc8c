"""Certificates of time-stamping authorities: which a checker trusts, and how a signer's leads to them."""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from earmark.errors import FormatError, TimestampError

ROOTS_LIMIT_BYTES = 4 << 20
_ROOTS_LIMIT = 1000
_CHAIN_LIMIT = 10
_NAME_LIMIT = 300


@dataclass(frozen=True, slots=True)
class TrustedRoots:
    """Certificates that the checker trusts, e.g. from an authority's own site.

    Attributes:
        anchors: Self-issued certificates, each the end of a chain.
        intermediates: Others, which fill chains whose authority left them out.
    """

    anchors: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()


def read_roots(pem: bytes) -> TrustedRoots:
    """Read the certificates that a checker trusts.

    Args:
        pem: One or more certificates in PEM, at most 4 MiB; text between them is allowed.

    Returns:
        Those that end a chain, and those that fill one.

    Raises:
        FormatError: There is no certificate, one is malformed, or none ends a chain.
    """
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)
    if len(pem) > ROOTS_LIMIT_BYTES or not 1 <= len(blocks) <= _ROOTS_LIMIT:
        raise FormatError(f"roots: not 1 to {_ROOTS_LIMIT} certificates in PEM (BEGIN CERTIFICATE)")
    try:
        found = [
            load_certificate(x509.load_pem_x509_certificate(block).public_bytes(Encoding.DER))
            for block in blocks
        ]
    except ValueError as error:
        raise FormatError(f"roots: a certificate is malformed: {str(error)[:150]}") from error
    anchors = tuple(item for item in found if item.issuer == item.subject)
    if not anchors:
        raise FormatError(
            "roots: no certificate is a root (issued by itself); ask the authority for its root"
        )
    return TrustedRoots(anchors, tuple(item for item in found if item.issuer != item.subject))


def load_certificate(der: bytes) -> x509.Certificate:
    """Return a certificate; ``ValueError`` if the bytes are none."""
    with warnings.catch_warnings():
        # Some authorities' certificates bend a rule of the encoding; the library reads them and warns.
        warnings.simplefilter("ignore")
        try:
            loaded = x509.load_der_x509_certificate(der)
            # Fields are read when they are asked for; what is malformed must be found here.
            _ = loaded.issuer, loaded.subject, loaded.not_valid_before_utc, loaded.not_valid_after_utc
        except (x509.InvalidVersion, ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"a certificate is malformed: {error}") from error
    return loaded


def is_of(certificate: x509.Certificate, issuer: bytes, serial: int) -> bool:
    """Return whether a certificate is the one of that issuer's name, in DER, and that serial number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that no certificate should have, and some have
        return certificate.serial_number == serial and certificate.issuer.public_bytes() == issuer


def check_purpose(signer: x509.Certificate) -> None:
    """Raise unless a certificate is for time stamps and for nothing else.

    Args:
        signer: The certificate that signed a token.

    Raises:
        TimestampError: It is for something else, or for something else besides.

    Source:
        RFC 3161 section 2.3
    """
    try:
        usages = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise TimestampError("the certificate does not say that it is for time stamps") from error
    # Critical, and nothing else: a key that also signs programs may be in other hands.
    if not usages.critical or list(usages.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TimestampError("the certificate is not for time stamps alone")


def chain_of(
    signer: x509.Certificate, known: Sequence[x509.Certificate], time: datetime
) -> list[x509.Certificate]:
    """Return the signer's certificate and its issuers, as far as they are known.

    Names, signatures and times are looked at, and nothing else: this says where a chain leads, and not
    that it holds.

    Args:
        signer: The certificate that signed a token.
        known: Certificates that the token carries.
        time: When it was signed, aware.

    Returns:
        The chain, the signer's certificate first.

    Raises:
        TimestampError: The signer's certificate was not valid at that time.
    """
    if not _is_valid(signer, time):
        raise TimestampError(
            f"the certificate of {named(signer)} was not valid at the time of the stamp: it is of "
            f"{signer.not_valid_before_utc:%Y-%m-%d} to {signer.not_valid_after_utc:%Y-%m-%d}"
        )
    chain = [signer]
    while chain[-1].issuer != chain[-1].subject and len(chain) < _CHAIN_LIMIT:
        issuers = [item for item in known if _is_valid(item, time) and _issued(item, chain[-1])]
        if not issuers:
            break
        chain.append(issuers[0])
    return chain


def _is_valid(certificate: x509.Certificate, time: datetime) -> bool:
    return certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def leading(
    known: Sequence[x509.Certificate], candidates: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return the candidates that continue a token's chain: a checker's file may hold hundreds of others.

    Args:
        known: Certificates that the token carries.
        candidates: Certificates that may be above them.

    Returns:
        Those that are, the lower first.
    """
    last, found = tuple(known), list[x509.Certificate]()
    remaining = list(candidates)
    while new := [item for item in remaining if any(_issued(item, below) for below in last)]:
        found += new
        last, remaining = tuple(new), [item for item in remaining if item not in new]
    return tuple(found)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 of a certificate, hexadecimal, as authorities publish it of their roots."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def named(certificate: x509.Certificate) -> str:
    """Return whose certificate it is, in one line of bounded length."""
    name = certificate.subject.rfc4514_string()[:_NAME_LIMIT]
    return name if name.isprintable() else ascii(name)
