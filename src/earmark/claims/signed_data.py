"""The signature inside a time-stamp token (CMS, RFC 5652), checked by its signer's own certificate.

1  one signer, whose certificate the token carries
2  the signed attributes name the digest of the content, and the content is a time stamp's
3  they also name that certificate's digest, so that no other certificate can be put in its place
4  the certificate's key signed these attributes

Whether the certificate is to be trusted is another question: see ``timestamps``.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1.error import PyAsn1Error
from pyasn1.type.univ import ObjectIdentifier, OctetString
from pyasn1_modules import rfc2634, rfc3161, rfc5035, rfc5652

from earmark.claims.certificates import is_of, load_certificate
from earmark.commitment import digest
from earmark.errors import TimestampError

SIZE_LIMIT_BYTES = 1 << 16
_CERTIFICATE_LIMIT = 20
_TIME_STAMP = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
# SHA-1 is accepted nowhere but in the older attribute, where it only tells certificates apart.
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
# What decoders raise when foreign bytes are no token.
_FOREIGN = (PyAsn1Error, ValueError, KeyError, IndexError, TypeError, RecursionError, AttributeError)
_GRANTED = (0, 1)  # 1: with modifications, of which the checks that follow see whatever matters
_KEY_BITS = {"rsa": 2048, "ec": 256}


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token that was taken apart.

    Attributes:
        content: The time stamp's own bytes (TSTInfo), which are signed.
        signature: The signature's bytes.
        attributes: What is signed: attributes with the content's digest, in DER.
        signer: The certificate that the token says it was signed with.
        certificates: All that the token carries, the signer's among them.
        hash: By which the attributes were digested.
        der: The token in DER: some authorities leave its sets unsorted, and readers refuse that.
    """

    content: bytes
    signature: bytes
    attributes: bytes
    signer: x509.Certificate
    certificates: tuple[x509.Certificate, ...]
    hash: hashes.HashAlgorithm
    der: bytes

    @property
    def token_digest(self) -> bytes:
        """32 bytes that name this token, whatever unsigned certificates are added to it."""
        return digest("earmark/timestamp-token/v1", self.content, self.signature)


def read_signed(token: bytes) -> SignedToken:
    """Take a token apart; steps 1 to 4.

    Args:
        token: DER of a TimeStampToken, at most 64 KiB.

    Returns:
        Its parts; the signature was checked under the signer's certificate.

    Raises:
        TimestampError: It is malformed, or one of the steps refuses it.

    Source:
        RFC 3161 section 2.4.2; RFC 5652 section 5; RFC 5035 section 5.4
    """
    if len(token) > SIZE_LIMIT_BYTES:
        raise TimestampError(f"the token is larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        signed = _take_apart(token)
    except _FOREIGN as error:
        raise TimestampError(f"the token is malformed: {_short(error)}") from error
    _check_signature(signed)
    return signed


def granted_token(response: bytes) -> bytes:
    """Return the token in an authority's answer.

    Args:
        response: DER of a TimeStampResp, at most 64 KiB.

    Returns:
        DER of the TimeStampToken; nothing in it was checked.

    Raises:
        TimestampError: It is no such answer, or the stamp was not granted.

    Source:
        RFC 3161 section 2.4.2
    """
    if len(response) > SIZE_LIMIT_BYTES:
        raise TimestampError(f"the answer is larger than {SIZE_LIMIT_BYTES} bytes")
    try:
        answer, rest = decode(response, asn1Spec=rfc3161.TimeStampResp())
        status, words = int(answer["status"]["status"]), answer["status"]["statusString"]
        said = " ".join(str(text) for text in words)[:150] if words.isValue else ""
        if not 0 <= status <= 5:
            raise ValueError("no status of RFC 3161")
        token = answer["timeStampToken"]
        if status in _GRANTED and (rest or not token.isValue):
            raise ValueError("no token, or more than one")
        der = bytes(encode(token)) if status in _GRANTED else b""
    except _FOREIGN as error:
        raise TimestampError("the answer is not a time stamp (RFC 3161)") from error
    if status not in _GRANTED:
        raise TimestampError(
            f"the authority did not grant the stamp (status {status}){said and ': ' + ascii(said)}"
        )
    return der


def with_certificates(signed: SignedToken, more: tuple[x509.Certificate, ...]) -> bytes:
    """Return a token with certificates added that it lacks.

    A token's certificates are not signed. Those that lead to the root are kept in it, so that it can be
    checked years later without asking anybody.

    Args:
        signed: The token.
        more: Certificates.

    Returns:
        DER of a token with the same content and signature.
    """
    missing = [certificate for certificate in more if certificate not in signed.certificates]
    if not missing:
        return signed.der
    outer, _ = decode(signed.der, asn1Spec=rfc5652.ContentInfo())
    inner, _ = decode(outer["content"], asn1Spec=rfc5652.SignedData())
    for certificate in missing:
        choice, _ = decode(certificate.public_bytes(Encoding.DER), asn1Spec=rfc5652.CertificateChoices())
        inner["certificates"].append(choice)
    outer["content"] = encode(inner)
    return bytes(encode(outer))


def _take_apart(token: bytes) -> SignedToken:
    outer, rest = decode(token, asn1Spec=rfc5652.ContentInfo())
    if rest or outer["contentType"] != rfc5652.id_signedData:
        raise ValueError("it is not exactly one signed message")
    inner, rest = decode(outer["content"], asn1Spec=rfc5652.SignedData())
    signers = inner["signerInfos"]
    if rest or len(signers) != 1:
        raise ValueError("it does not have exactly one signer")
    if str(inner["encapContentInfo"]["eContentType"]) != _TIME_STAMP:
        raise ValueError("what is signed is not a time stamp")
    if not inner["certificates"].isValue or not 1 <= len(inner["certificates"]) <= _CERTIFICATE_LIMIT:
        raise ValueError(f"it does not carry 1 to {_CERTIFICATE_LIMIT} certificates")
    certificates = tuple(
        load_certificate(bytes(encode(choice["certificate"]))) for choice in inner["certificates"]
    )
    content = bytes(inner["encapContentInfo"]["eContent"])
    info = signers[0]
    attributes = _attributes(info)
    chosen = _HASHES[str(info["digestAlgorithm"]["algorithm"])]
    signer = _signer(info, certificates)
    _check_attributes(attributes, content, chosen, signer)
    # Signed as a SET of its own, though it stands in the token under another tag.
    plain = rfc5652.SignedAttributes()
    plain.extend(info["signedAttrs"])
    outer["content"] = encode(inner)
    return SignedToken(
        content,
        bytes(info["signature"]),
        bytes(encode(plain)),
        signer,
        certificates,
        chosen,
        bytes(encode(outer)),
    )


def _attributes(info: Any) -> dict[str, bytes]:
    if not info["signedAttrs"].isValue:
        raise ValueError("it has no signed attributes")
    found: dict[str, bytes] = {}
    for attribute in info["signedAttrs"]:
        name = str(attribute["attrType"])
        if name in found or len(attribute["attrValues"]) != 1:
            raise ValueError(f"attribute {name} does not have exactly one value")
        found[name] = bytes(attribute["attrValues"][0])
    return found


def _signer(info: Any, certificates: tuple[x509.Certificate, ...]) -> x509.Certificate:
    named = info["sid"]["issuerAndSerialNumber"]
    issuer, serial = bytes(encode(named["issuer"])), int(named["serialNumber"])
    for certificate in certificates:
        if is_of(certificate, issuer, serial):
            return certificate
    raise ValueError("the certificate of its signer is missing")


def _check_attributes(
    attributes: dict[str, bytes], content: bytes, chosen: hashes.HashAlgorithm, signer: x509.Certificate
) -> None:
    kind, _ = decode(attributes[_CONTENT_TYPE], asn1Spec=ObjectIdentifier())
    if str(kind) != _TIME_STAMP:
        raise ValueError("its signed attributes are of another kind of content")
    named, _ = decode(attributes[_MESSAGE_DIGEST], asn1Spec=OctetString())
    if bytes(named) != hashlib.new(chosen.name, content).digest():
        raise TimestampError("the token's time stamp was altered after it was signed")
    der = signer.public_bytes(Encoding.DER)
    matches = []
    if _SIGNING_CERTIFICATE_V2 in attributes:
        ids, _ = decode(attributes[_SIGNING_CERTIFICATE_V2], asn1Spec=rfc5035.SigningCertificateV2())
        algorithm = _HASHES[str(ids["certs"][0]["hashAlgorithm"]["algorithm"])]
        matches.append(bytes(ids["certs"][0]["certHash"]) == hashlib.new(algorithm.name, der).digest())
    if _SIGNING_CERTIFICATE in attributes:
        ids, _ = decode(attributes[_SIGNING_CERTIFICATE], asn1Spec=rfc2634.SigningCertificate())
        expected = hashlib.sha1(der, usedforsecurity=False).digest()
        matches.append(bytes(ids["certs"][0]["certHash"]) == expected)
    # Without this, whoever has two certificates of one key could say later which of them had signed.
    if not matches or not all(matches):
        raise TimestampError("the token does not name the certificate that it is shown with")


def _check_signature(signed: SignedToken) -> None:
    try:
        key = signed.signer.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _KEY_BITS["rsa"]:
            key.verify(signed.signature, signed.attributes, padding.PKCS1v15(), signed.hash)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= _KEY_BITS["ec"]:
            key.verify(signed.signature, signed.attributes, ec.ECDSA(signed.hash))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signed.signature, signed.attributes)
        else:
            raise TimestampError("the authority's key is of an unknown kind, or too short to be trusted")
    except InvalidSignature as error:
        raise TimestampError("the token's signature does not fit: it was altered") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TimestampError(f"the authority's key cannot be used: {_short(error)}") from error


def _short(error: BaseException) -> str:
    text = " ".join(str(error)[:500].split())[:150] or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text)
