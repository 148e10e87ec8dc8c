"""An authority that signs whatever a forger wants: any time, any imprint, any of its parts left out.

It is written on ASN.1 alone, so that it can make what no honest authority makes. Its chain is as real as the
one in ``authority``: a token of it is refused for what it says, or because its root was not given.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1.type import tag, univ, useful
from pyasn1_modules import rfc3161, rfc5035, rfc5280, rfc5652

from authority import Issued

SHA256 = "2.16.840.1.101.3.4.2.1"
TIME_STAMP = "1.2.840.113549.1.9.16.1.4"


@dataclass(frozen=True)
class Wish:
    """What the token is to say."""

    imprint: bytes
    time: datetime
    nonce: int | None = 7
    accuracy_seconds: int | None = 1
    algorithm: str = SHA256
    with_content_type: bool = True
    with_certificate_id: bool = True
    kind: str = TIME_STAMP


def forged_token(wish: Wish, signer: Issued, *more: Issued, shown: Issued | None = None) -> bytes:
    """A token by this signer, carrying its certificate (or ``shown`` in its place) and more."""
    content = _content(wish)
    certificate = (shown or signer).certificate
    attributes = rfc5652.SignedAttributes()
    values = {"1.2.840.113549.1.9.4": univ.OctetString(hashlib.sha256(content).digest())}
    if wish.with_content_type:
        values["1.2.840.113549.1.9.3"] = univ.ObjectIdentifier(wish.kind)
    if wish.with_certificate_id:
        values["1.2.840.113549.1.9.16.2.47"] = _certificate_id(signer)
    for place, (name, value) in enumerate(values.items()):
        attributes[place]["attrType"] = name
        attributes[place]["attrValues"][0] = encode(value)
    signature = signer.key.sign(encode(attributes), ec.ECDSA(hashes.SHA256()))
    return _signed_data(wish, content, attributes, signature, [certificate, *(x.certificate for x in more)])


def forged_response(token: bytes, status: int = 0) -> bytes:
    """What an authority would send around the token."""
    response = rfc3161.TimeStampResp()
    response["status"]["status"] = status
    if token:
        response["timeStampToken"], _ = decode(token, asn1Spec=rfc3161.TimeStampToken())
    return encode(response)


def _content(wish: Wish) -> bytes:
    info = rfc3161.TSTInfo()
    info["version"], info["policy"], info["serialNumber"] = 1, "1.2.3.4.1", 77
    info["messageImprint"]["hashAlgorithm"]["algorithm"] = wish.algorithm
    info["messageImprint"]["hashedMessage"] = wish.imprint
    info["genTime"] = useful.GeneralizedTime(f"{wish.time:%Y%m%d%H%M%S}Z")
    if wish.accuracy_seconds is not None:
        info["accuracy"]["seconds"] = wish.accuracy_seconds
    if wish.nonce is not None:
        info["nonce"] = wish.nonce
    return encode(info)


def _certificate_id(signer: Issued):
    ids = rfc5035.SigningCertificateV2()
    der = signer.certificate.public_bytes(Encoding.DER)
    ids["certs"][0]["certHash"] = hashlib.sha256(der).digest()
    return ids


def _signed_data(wish, content, attributes, signature, certificates) -> bytes:
    data = rfc5652.SignedData()
    data["version"] = 3
    data["digestAlgorithms"][0]["algorithm"] = SHA256
    data["encapContentInfo"]["eContentType"] = wish.kind
    data["encapContentInfo"]["eContent"] = univ.OctetString(content).subtype(
        explicitTag=tag.Tag(tag.tagClassContext, tag.tagFormatSimple, 0)
    )
    for place, certificate in enumerate(certificates):
        choice, _ = decode(certificate.public_bytes(Encoding.DER), asn1Spec=rfc5652.CertificateChoices())
        data["certificates"][place] = choice
    info = data["signerInfos"][0]
    info["version"] = 1
    shown, _ = decode(certificates[0].public_bytes(Encoding.DER), asn1Spec=rfc5280.Certificate())
    info["sid"]["issuerAndSerialNumber"]["issuer"] = shown["tbsCertificate"]["issuer"]
    info["sid"]["issuerAndSerialNumber"]["serialNumber"] = shown["tbsCertificate"]["serialNumber"]
    info["digestAlgorithm"]["algorithm"] = SHA256
    info["signedAttrs"].extend(attributes)
    info["signatureAlgorithm"]["algorithm"] = "1.2.840.10045.4.3.2"
    info["signature"] = signature
    outer = rfc5652.ContentInfo()
    outer["contentType"] = rfc5652.id_signedData
    outer["content"] = encode(data)
    return encode(outer)
