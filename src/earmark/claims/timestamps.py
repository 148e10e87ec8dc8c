"""RFC 3161: what a time-stamping authority's token shows, and what not.

A token says: *this digest existed at this time*, and is as trustworthy as the authority. So a token is
evidence only if its chain ends in a root that the *checker* gave; whoever makes a claim can run an authority
of his own. A token without such a root is read and reported, "root not checked", and decides nothing.

1  the answer is well-formed, and granted
2  its signature fits (``signed_data``)
3  it is over the digest that was asked for, with the nonce of the request
4  its time is plausible: near the clock when it is fetched, not in the future when it is checked
5  the certificate is for time stamps alone, and was valid at the time it states
6  its chain ends in a given root

Nothing here opens a connection: what was fetched is passed in, and so is the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from rfc3161_client import (
    Accuracy,
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from earmark.claims.certificates import TrustedRoots, chain_of, check_purpose, fingerprint, leading, named
from earmark.claims.signed_data import SIZE_LIMIT_BYTES, granted_token, read_signed, with_certificates
from earmark.commitment import frame
from earmark.errors import TimestampError

RESPONSE_LIMIT_BYTES = SIZE_LIMIT_BYTES
CLOCK_TOLERANCE = timedelta(minutes=5)
# Times are whole seconds in most tokens, so a second is the least that can be told apart. Where nothing is
# stated, a minute: sixty times what authorities under ETSI EN 319 421 promise.
LEAST_ACCURACY, ASSUMED_ACCURACY = timedelta(seconds=1), timedelta(minutes=1)
_ACCURACY_LIMIT = timedelta(days=1)
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """What is sent to an authority.

    Attributes:
        digest: SHA-256 of the stamped message, 32 bytes. Nothing else is shown to the authority.
        nonce: By which the answer is known to be an answer to this request, and new.
        der: The request's bytes.
    """

    digest: bytes
    nonce: int
    der: bytes


@dataclass(frozen=True, slots=True)
class TimestampEvidence:
    """What a token shows.

    Attributes:
        time: When the authority says that the digest existed; aware, UTC.
        accuracy: How far off that may be, on either side; at least a second.
        states_accuracy: Whether the authority states it; otherwise a minute is assumed.
        authority: The subject of the certificate that signed.
        policy: Under which of its policies, as dotted numbers.
        token_digest: 32 bytes that name the token.
        root: SHA-256 fingerprint, hexadecimal, of the given root in which the chain ends; None: root
            not checked.
        chain_end: The last certificate of the chain as the token has it, with its fingerprint.
        certificate_expires: Until when the signing certificate is or was valid. Later a key that leaked
            could sign any past time: then a token is as good as the date at which somebody else saw it.
    """

    time: datetime
    accuracy: timedelta
    states_accuracy: bool
    authority: str
    policy: str
    token_digest: bytes
    root: str | None
    chain_end: str
    certificate_expires: datetime

    @property
    def is_root_checked(self) -> bool:
        """Whether the chain ends in a root that the checker gave. If not, this is no evidence."""
        return self.root is not None

    @property
    def earliest(self) -> datetime:
        """Start of the interval in which the true time lies."""
        return self.time - self.accuracy

    @property
    def latest(self) -> datetime:
        """End of the interval in which the true time lies."""
        return self.time + self.accuracy

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "time": self.time.isoformat(),
            "accuracy_seconds": self.accuracy.total_seconds(),
            "accuracy_stated": self.states_accuracy,
            "authority": self.authority,
            "policy": self.policy,
            "token": self.token_digest.hex(),
            "root": self.root,
            "root_checked": self.is_root_checked,
            "chain_end": self.chain_end,
            "certificate_expires": self.certificate_expires.isoformat(),
        }

    def __str__(self) -> str:
        stated = "" if self.states_accuracy else ", assumed"
        root = f"{'root checked' if self.is_root_checked else 'root not checked'}: {self.chain_end}"
        seconds = f"{self.accuracy.total_seconds():g}"
        return f"{self.time:%Y-%m-%d %H:%M:%S} UTC ± {seconds} s{stated}, by {self.authority} ({root})"


@dataclass(frozen=True, slots=True)
class RefusedTimestamp:
    """A token that shows nothing.

    Attributes:
        reason: Why, in one line.
    """

    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the reason as a JSON value."""
        return {"refused": self.reason}

    def __str__(self) -> str:
        return f"refused: {self.reason}"


def create_request(*message: bytes | str | int) -> TimestampRequest:
    """Return a request for a token over SHA-256 of the framed message.

    Args:
        message: Its parts, a domain label first; as for ``earmark.commitment.digest``, which is what is
            stamped.

    Returns:
        The request, with a random nonce of at least 64 bits, asking for the authority's certificates.
    """
    built = (
        TimestampRequestBuilder()
        .data(frame(*message))
        .hash_algorithm(HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    if built.nonce is None:
        raise AssertionError("the request was made with a nonce")
    return TimestampRequest(built.message_imprint.message, built.nonce, built.as_bytes())


def check_response(
    request: TimestampRequest, response: bytes, roots: TrustedRoots, now: datetime
) -> tuple[bytes, TimestampEvidence]:
    """Check an authority's answer as soon as it is there; steps 1 to 6.

    Args:
        request: What was asked.
        response: The body of the answer: DER of a TimeStampResp.
        roots: What the asker trusts; without any, the chain is checked among the token's own certificates.
        now: When the answer came, aware.

    Returns:
        The token to be kept, with every certificate of its chain that is known, and what it shows.

    Raises:
        TimestampError: One of the steps refuses it.

    Source:
        RFC 3161 section 2.4.2
    """
    signed = read_signed(granted_token(response))
    if _decode(signed.der).tst_info.nonce != request.nonce:
        raise TimestampError("the answer has another nonce: it answers another request, or is an old one")
    evidence = check_token(signed.der, request.digest, roots, now)
    if abs(evidence.time - now) > CLOCK_TOLERANCE + evidence.accuracy:
        raise TimestampError(
            f"the authority's time is {evidence.time:%Y-%m-%d %H:%M:%S} UTC, and here it is "
            f"{now:%Y-%m-%d %H:%M:%S} UTC: one of the two clocks is wrong"
        )
    if roots.anchors and not evidence.is_root_checked:
        raise TimestampError(
            f"the answer's chain ends in none of the given roots, but in {evidence.chain_end}"
        )
    used = tuple(item for item in roots.anchors if fingerprint(item) == evidence.root)
    completed = with_certificates(signed, (*leading(signed.certificates, roots.intermediates), *used))
    return completed, check_token(completed, request.digest, roots, now)


def check_token(token: bytes, stamped_digest: bytes, roots: TrustedRoots, now: datetime) -> TimestampEvidence:
    """Check a kept token, offline and years later; all steps but the nonce.

    Args:
        token: DER of a TimeStampToken, as it stands in a file.
        stamped_digest: What must have been stamped, 32 bytes.
        roots: What the checker trusts.
        now: The checker's time, aware.

    Returns:
        What it shows. Ask ``is_root_checked`` before you rely on it.

    Raises:
        TimestampError: One of the steps refuses it.

    Source:
        RFC 3161 sections 2.3 and 2.4.2
    """
    signed = read_signed(token)
    info = _decode(signed.der).tst_info
    if info.message_imprint.hash_algorithm != _SHA256 or info.message_imprint.message != stamped_digest:
        raise TimestampError(
            "the token is over something else: it was made for another file, or one was altered"
        )
    time, (accuracy, states_accuracy) = info.gen_time.astimezone(UTC), _accuracy(info.accuracy)
    if time > now + CLOCK_TOLERANCE + accuracy:
        raise TimestampError(f"the token's time, {time:%Y-%m-%d %H:%M:%S} UTC, is still to come")
    check_purpose(signed.signer)
    chain = chain_of(signed.signer, signed.certificates, time)
    filled = with_certificates(signed, leading(signed.certificates, roots.intermediates))
    root = _root_of(filled, stamped_digest, roots.anchors)
    if root is None and chain[-1] in roots.anchors:
        raise TimestampError("the token's chain leads to a given root, but does not hold")
    end = root or chain[-1]
    return TimestampEvidence(
        time,
        accuracy,
        states_accuracy,
        named(signed.signer),
        info.policy.dotted_string,
        signed.token_digest,
        None if root is None else fingerprint(root),
        f"{named(end)}, SHA-256 {fingerprint(end)}",
        signed.signer.not_valid_after_utc,
    )


def check_tokens(
    tokens: Iterable[bytes], stamped_digest: bytes, roots: TrustedRoots, now: datetime
) -> tuple[TimestampEvidence | RefusedTimestamp, ...]:
    """Check every token of a file; one that shows nothing takes nothing from the others.

    Args:
        tokens: As they stand in the file.
        stamped_digest: What must have been stamped, 32 bytes.
        roots: What the checker trusts.
        now: The checker's time, aware.

    Returns:
        For each token what it shows, or why it shows nothing.
    """
    found: list[TimestampEvidence | RefusedTimestamp] = []
    for token in tokens:
        try:
            found.append(check_token(token, stamped_digest, roots, now))
        except TimestampError as error:
            found.append(RefusedTimestamp(str(error)))
    return tuple(found)


def _decode(token: bytes) -> TimeStampResponse:
    """Return a token, in DER, as the granted answer that it was taken from."""
    body = bytes.fromhex("3003020100") + token
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    try:
        decoded = decode_timestamp_response(bytes((0x30, 0x80 | len(size))) + size + body)
        _ = decoded.tst_info.gen_time, decoded.tst_info.policy  # reading is what finds them malformed
    # Foreign bytes: whatever the decoder raises, they are no token.
    except Exception as error:
        raise TimestampError("the token is malformed: not a time stamp (RFC 3161)") from error
    return decoded


def _accuracy(stated: Accuracy | None) -> tuple[timedelta, bool]:
    if stated is None:
        return ASSUMED_ACCURACY, False
    if (stated.seconds or 0) > _ACCURACY_LIMIT.total_seconds():
        raise TimestampError(
            "the authority states an accuracy of more than a day: such a stamp dates nothing"
        )
    total = timedelta(
        seconds=stated.seconds or 0, milliseconds=stated.millis or 0, microseconds=stated.micros or 0
    )
    return max(total, LEAST_ACCURACY), True


def _root_of(
    token: bytes, stamped_digest: bytes, anchors: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    """Return the given root in which the chain ends, by OpenSSL's rules at the stated time; step 6."""
    for anchor in anchors:
        verifier = VerifierBuilder().add_root_certificate(anchor).build()
        try:
            # Only the one root: every certificate that is handed to the verifier could end a chain.
            verifier.verify(_decode(token), stamped_digest)
        except VerificationError:
            continue
        return anchor
    return None
