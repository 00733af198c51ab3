"""Judges what whole-job.sh has collected with Python's cryptography: verify.py WORKDIR."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

PURPOSES = {
    "ca": None,
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "dual_purpose": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}
REASONS = {
    "none": None,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "ca_compromise": x509.ReasonFlags.ca_compromise,
}


class Authority:
    """A CA as a client knows it: its certificate and its CRL."""

    def __init__(self, folder: Path, name: str):
        self.name = f"{folder.name}/{name}"
        self.certificate = load_certificate(folder / f"{name}.pem")
        self.crl = x509.load_der_x509_crl((folder / f"{name}.crl").read_bytes())
        self.key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)


@dataclass
class Leaf:
    """A certificate that is not in the CA inventory."""

    name: str
    folder: Path
    kind: str
    whom: str
    certificate: x509.Certificate
    issuer: Authority
    root: Authority


def main(work: Path) -> None:
    authorities: dict[str, tuple[Authority, Authority]] = {}
    for line in (work / "manifest").read_text().splitlines():
        key, name, kind, whom = line.split("\t")
        if key not in authorities:
            authorities[key] = Authority(work / key, "root"), Authority(work / key, "issuing")
            judge_authorities(*authorities[key])
        root, issuer = authorities[key]
        folder = work / key / name
        certificate = load_certificate(folder / "certificate.pem")
        judge_leaf(Leaf(f"{key}/{name}", folder, kind, whom, certificate, issuer, root), work)


# --- certificate authorities ---


def judge_authorities(root: Authority, issuer: Authority) -> None:
    for authority, parent, path_length in [(root, root, 2), (issuer, root, 1)]:
        certificate = authority.certificate
        judge_encoding(authority.name, certificate)
        judge_issued(authority.name, certificate, parent)
        judge_ca_extensions(authority.name, certificate, path_length)
        judge(f"{authority.name}: the key loads and matches", matches(authority.key, certificate))
        judge_crl(authority)
    judge(f"{root.name}: self-signed, without addresses", lambda: (
        root.certificate.subject == root.certificate.issuer
        and not has(root.certificate, x509.CRLDistributionPoints)
        and not has(root.certificate, x509.AuthorityInformationAccess)
    ))


def judge_ca_extensions(name: str, certificate: x509.Certificate, path_length: int) -> None:
    usage = key_usage(certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    judge(f"{name}: BasicConstraints is critical: CA, path length {path_length}", lambda: (
        constraints.critical and constraints.value == x509.BasicConstraints(True, path_length)
    ))
    judge(f"{name}: KeyUsage is that of a CA", lambda: usage == {
        "digital_signature", "key_cert_sign", "crl_sign"
    })
    judge(f"{name}: no ExtendedKeyUsage, no SubjectAlternativeName", lambda: (
        not has(certificate, x509.ExtendedKeyUsage) and not has(certificate, x509.SubjectAlternativeName)
    ))


def judge_crl(authority: Authority) -> None:
    crl, name = authority.crl, f"{authority.name}.crl"
    key = authority.certificate.public_key()
    key_id = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    judge(f"{name}: signed by its CA", lambda: crl.is_signature_valid(key))
    judge(f"{name}: its issuer is its CA, byte for byte", lambda: (
        crl.issuer.public_bytes() == authority.certificate.subject.public_bytes()
    ))
    judge(f"{name}: valid for a week", lambda: (
        crl.next_update_utc - crl.last_update_utc == timedelta(days=7)
    ))
    judge(f"{name}: AuthorityKeyIdentifier is the CA's key", lambda: (
        crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    ))
    judge(f"{name}: has a CRLNumber that is not critical", lambda: (
        crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > 0
        and not crl.extensions.get_extension_for_class(x509.CRLNumber).critical
    ))


# --- certificates ---


def judge_leaf(leaf: Leaf, work: Path) -> None:
    judge_encoding(leaf.name, leaf.certificate)
    judge_issued(leaf.name, leaf.certificate, leaf.issuer)
    judge_addresses(leaf)
    if leaf.kind == "ca":
        judge_ca_extensions(leaf.name, leaf.certificate, 0)
    else:
        judge_leaf_extensions(leaf)
        judge_chain(leaf)
    key = load_pem_private_key((leaf.folder / "key.pem").read_bytes(), None)
    judge(f"{leaf.name}: the key loads and matches", matches(key, leaf.certificate))
    if leaf.folder.name.startswith("csr-"):
        judge_request(leaf, x509.load_pem_x509_csr((work / f"{leaf.folder.name}.pem").read_bytes()))
    judge_revocation(leaf)


def judge_encoding(name: str, certificate: x509.Certificate) -> None:
    judge(f"{name}: version 3", lambda: certificate.version == x509.Version.v3)
    judge(f"{name}: the serial is positive and random, below 160 bits", lambda: (
        certificate.serial_number > 0 and 96 < certificate.serial_number.bit_length() < 160
    ))
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    judge(f"{name}: SubjectKeyIdentifier is the SHA-1 of its key, not critical", lambda: (
        key_id.value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
        and not key_id.critical
    ))


def judge_issued(name: str, certificate: x509.Certificate, issuer: Authority) -> None:
    authority = issuer.certificate
    key_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    judge(f"{name}: issued by {issuer.name}", lambda: certificate.verify_directly_issued_by(authority) is None)
    judge(f"{name}: its issuer is that CA, byte for byte", lambda: (
        certificate.issuer.public_bytes() == authority.subject.public_bytes()
    ))
    judge(f"{name}: does not outlive its issuer", lambda: (
        authority.not_valid_before_utc <= certificate.not_valid_before_utc
        and certificate.not_valid_after_utc <= authority.not_valid_after_utc
    ))
    if certificate != authority:
        judge(f"{name}: AuthorityKeyIdentifier is the issuer's key", lambda: (
            certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
            == key_id
        ))


def judge_addresses(leaf: Leaf) -> None:
    points = leaf.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    access = leaf.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    judge(f"{leaf.name}: one address of a CRL, one of the issuer, neither critical", lambda: (
        [len(point.full_name) for point in points.value] == [1]
        and [method.access_method for method in access.value] == [AuthorityInformationAccessOID.CA_ISSUERS]
        and not points.critical
        and not access.critical
    ))


def judge_leaf_extensions(leaf: Leaf) -> None:
    certificate = leaf.certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    wanted = {"digital_signature"}
    if isinstance(certificate.public_key(), rsa.RSAPublicKey):
        wanted.add("key_encipherment")
    judge(f"{leaf.name}: BasicConstraints is critical: not a CA", lambda: (
        constraints.critical and constraints.value == x509.BasicConstraints(False, None)
    ))
    judge(f"{leaf.name}: KeyUsage is that of its key", lambda: key_usage(certificate) == wanted)
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    judge(f"{leaf.name}: ExtendedKeyUsage is that of a {leaf.kind}", lambda: (
        list(purposes.value) == PURPOSES[leaf.kind] and not purposes.critical
    ))


def judge_chain(leaf: Leaf) -> None:
    """Verification along the whole chain.

    This verifier holds certificates against the CA/Browser Forum's Baseline Requirements, whose section 7.1.3.1
    has no Ed25519 (RFC 8410 has): such chains are left to the signature checks elsewhere.
    """
    chain = [leaf.certificate, leaf.issuer.certificate, leaf.root.certificate]
    store = PolicyBuilder().store(Store([leaf.root.certificate]))
    if any(isinstance(link.public_key(), ed25519.Ed25519PublicKey) for link in chain):
        return
    if leaf.kind != "client":
        for subject in server_names(leaf):
            verifier = store.build_server_verifier(subject)
            judge(f"{leaf.name}: chain verification, server {subject.value}", lambda verifier=verifier: (
                verifier.verify(leaf.certificate, [leaf.issuer.certificate]) == chain
            ))
    if leaf.kind != "server":
        email = x509.RFC822Name(leaf.whom if leaf.kind == "client" else "node@example.com")
        judge(f"{leaf.name}: chain verification, client {email.value}", lambda: (
            email in store.build_client_verifier().verify(leaf.certificate, [leaf.issuer.certificate]).subjects
        ))


def server_names(leaf: Leaf) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(leaf.whom)]
    if leaf.kind == "dual_purpose":
        names += [x509.IPAddress(ip_address("192.0.2.1")), x509.IPAddress(ip_address("2001:db8::1"))]
    return names


def judge_request(leaf: Leaf, request: x509.CertificateSigningRequest) -> None:
    wanted = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    judge(f"{leaf.name}: the request's key", lambda: request.public_key() == leaf.certificate.public_key())
    judge(f"{leaf.name}: the request's subject", lambda: request.subject == leaf.certificate.subject)
    judge(f"{leaf.name}: the request's alternative names", lambda: (
        leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == wanted
    ))


def judge_revocation(leaf: Leaf) -> None:
    entry = leaf.issuer.crl.get_revoked_certificate_by_serial_number(leaf.certificate.serial_number)
    revoked = leaf.folder / "revoked"
    if not revoked.exists():
        judge(f"{leaf.name}: not on the CRL", lambda: entry is None)
        return
    wanted = REASONS[revoked.read_text().strip()]
    judge(f"{leaf.name}: on the CRL since its life, reason {wanted and wanted.value}", lambda: (
        entry is not None
        and leaf.certificate.not_valid_before_utc <= entry.revocation_date_utc <= leaf.issuer.crl.last_update_utc
        and reason(entry) == wanted
    ))


# --- reading ---


def load_certificate(path: Path) -> x509.Certificate:
    """The certificate of a file that holds nothing else, in DER as strict as it can be written."""
    pem = path.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    judge(f"{path}: the PEM is written as others write it", lambda: (
        certificate.public_bytes(Encoding.PEM) == pem
    ))
    return certificate


def key_usage(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert extension.critical, "KeyUsage is not critical"
    names = [
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign",
    ]
    return {name for name in names if getattr(extension.value, name)}


def has(certificate: x509.Certificate, extension: type[x509.ExtensionType]) -> bool:
    return any(isinstance(found.value, extension) for found in certificate.extensions)


def reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def matches(key, certificate: x509.Certificate) -> Callable[[], bool]:
    return lambda: key.public_key() == certificate.public_key()


# --- judging ---


def judge(what: str, question: Callable[[], bool]) -> None:
    try:
        answer, words = question(), "it does not hold"
    except Exception as error:  # whatever a judge may say: it is against
        answer, words = False, repr(error)
    if not answer:
        sys.exit(f"FAILED: python: {what}: {words}")
    print(f"ok python: {what}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
