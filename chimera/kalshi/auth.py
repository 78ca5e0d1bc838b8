"""Keys and signatures, both ends of them.

A private key is read once, checked, and dispatched on its parsed type: RSA or Ed25519, the two that Kalshi takes. Everything that
makes a key unusable is a `CredentialError` that says how to mend it; no message and no repr ever holds key material. The loopback
exchange checks signatures with the same module, so that what is signed and what is verified cannot drift apart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from chimera.errors import CredentialError

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
PublicKey: TypeAlias = RSAPublicKey | Ed25519PublicKey

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"

MIN_RSA_BITS = 2048
MAX_KEY_BYTES = 64 * 1024
"""No PEM private key is longer; a longer file is something else and is not read further."""

_SHA256 = hashes.SHA256()
# RSA-PSS with a salt as long as the digest (32 bytes); the maximal salt that many libraries default to is refused by Kalshi.
_PSS = padding.PSS(mgf=padding.MGF1(_SHA256), salt_length=padding.PSS.DIGEST_LENGTH)


class Signer:
    """Signs requests with one API key. A signature takes 20 µs with Ed25519, 220 µs with RSA-2048, and parsing the key far longer."""

    __slots__ = ("_key", "key_id")

    def __init__(self, key_id: str, key: PrivateKey) -> None:
        if not key_id or not key_id.isascii() or not key_id.isprintable() or " " in key_id:
            raise CredentialError("the API key id is empty or holds blanks; copy it whole from Kalshi's API key page")
        self.key_id = key_id
        self._key = key

    @property
    def kind(self) -> str:
        """"ed25519" or "rsa-2048" (or longer)."""
        return f"rsa-{self._key.key_size}" if isinstance(self._key, RSAPrivateKey) else "ed25519"

    @property
    def public_key(self) -> PublicKey:
        return self._key.public_key()

    @property
    def fingerprint(self) -> str:
        """Which key this is, from its public half: fit for logs and audits."""
        return fingerprint(self.public_key)

    def sign(self, method: str, path: str, now_ms: int) -> str:
        """The base64 signature of one request.

        `path` is the full path as sent, `/trade-api/v2` included; a query string is cut off, for Kalshi does not sign it.
        `now_ms` is unix milliseconds.
        """
        message = _message(str(now_ms), method, path)
        key = self._key
        raw = key.sign(message, _PSS, _SHA256) if isinstance(key, RSAPrivateKey) else key.sign(message)
        return base64.b64encode(raw).decode("ascii")

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """The three headers of a signed request, in the order Kalshi documents them."""
        return {
            KEY_HEADER: self.key_id,
            TIMESTAMP_HEADER: str(now_ms),
            SIGNATURE_HEADER: self.sign(method, path, now_ms),
        }

    def __repr__(self) -> str:
        return f"<Signer {self.kind} key …{self.key_id[-6:]}>"


def verify(public_key: PublicKey, *, timestamp: str, method: str, path: str, signature: str) -> bool:
    """The exchange's side: whether `signature` (base64) is this key's over timestamp + METHOD + path without its query."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    message = _message(timestamp, method, path)
    try:
        if isinstance(public_key, RSAPublicKey):
            public_key.verify(raw, message, _PSS, _SHA256)
        else:
            public_key.verify(raw, message)
    except InvalidSignature:
        return False
    return True


def fingerprint(public_key: PublicKey) -> str:
    """`SHA256:` and the base64 digest of the public key's DER form."""
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")


def load_private_key(source: str | Path | bytes) -> PrivateKey:
    """The private key in a PEM file, or in PEM bytes; CredentialError where Kalshi could not use it or others could read it."""
    if isinstance(source, bytes):
        return _parse(source, "the private key given")
    path = Path(source)
    return _parse(_read(path), str(path))


def load_signer(key_id: str, source: str | Path | bytes) -> Signer:
    """A signer from a key id and a private key."""
    return Signer(key_id, load_private_key(source))


def _message(timestamp: str, method: str, path: str) -> bytes:
    return f"{timestamp}{method.upper()}{path.partition('?')[0]}".encode()


def _read(path: Path) -> bytes:
    """The bytes of a key file that only its owner can read."""
    try:
        # Not blocking: a pipe in the key's place must not hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise CredentialError(f"{path}: no such file; point the private key path at the PEM file Kalshi gave you") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise CredentialError(f"{path}: cannot be read ({why}); make it a file that this user owns, mode 600") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialError(f"{path}: is not a regular file; point the private key path at the PEM file Kalshi gave you")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise CredentialError(f"{path}: others than its owner can use it (mode {mode:03o}); run: chmod 600 {path}")
        return os.read(descriptor, MAX_KEY_BYTES)
    finally:
        os.close(descriptor)


def _parse(pem: bytes, name: str) -> PrivateKey:
    """The key in `pem`, if it is one that Kalshi takes. Nothing of the parser's own word is repeated: it may quote its input."""
    if not pem.strip():
        raise CredentialError(f"{name}: is empty; download the private key from Kalshi again or create a new one")
    if b"PRIVATE KEY-----" not in pem:
        seen = "a public key or certificate" if b"-----BEGIN" in pem else "not PEM"
        raise CredentialError(f"{name}: holds no private key ({seen}); give the PEM file that Kalshi made for the API key")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise CredentialError(f"{name}: is encrypted; decrypt it with: openssl pkey -in KEY -out PLAIN && chmod 600 PLAIN") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CredentialError(
            f"{name}: is not a private key that can be read (damaged, cut short, or of another format); "
            "give the PEM file exactly as Kalshi made it"
        ) from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise CredentialError(f"{name}: is neither RSA nor Ed25519, the kinds Kalshi takes; create a new API key with one of them")
    if key.key_size < MIN_RSA_BITS:
        raise CredentialError(f"{name}: an RSA key of {key.key_size} bits; Kalshi needs {MIN_RSA_BITS} or more: create a new API key")
    return key
