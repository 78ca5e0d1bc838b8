"""Keys and signatures: what is signed verifies, what cannot be used is refused with its mend, and nothing leaks."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from chimera.errors import CredentialError
from chimera.kalshi.auth import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Signer,
    load_private_key,
    load_signer,
    verify,
)

KEY_ID = "4a75a66e-ca85-4187-93cd-aac5e01ad982"
PATH = "/trade-api/v2/portfolio/orders"


def parts(headers: dict[str, str], method: str = "GET", path: str = PATH) -> dict[str, str]:
    return {"timestamp": headers[TIMESTAMP_HEADER], "signature": headers[SIGNATURE_HEADER], "method": method, "path": path}


class TestSigning:
    """Timestamp, METHOD and path without query, by either kind of key."""

    def test_the_headers_verify_with_the_public_key(self, key) -> None:
        headers = Signer(KEY_ID, key).headers("GET", PATH, 1703123456789)
        assert headers[KEY_HEADER] == KEY_ID
        assert headers[TIMESTAMP_HEADER] == "1703123456789"
        assert verify(key.public_key(), **parts(headers))

    def test_rsa_is_pss_with_sha256_and_a_salt_of_32(self, rsa_key) -> None:
        """Checked against the library and the documented example, not against our own verifier."""
        signature = base64.b64decode(Signer(KEY_ID, rsa_key).sign("get", PATH + "?limit=5", 1703123456789))
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        rsa_key.public_key().verify(signature, b"1703123456789GET" + PATH.encode(), scheme, hashes.SHA256())

    def test_ed25519_signs_the_message_itself(self, ed25519_key) -> None:
        signature = base64.b64decode(Signer(KEY_ID, ed25519_key).sign("DELETE", PATH, 1))
        assert len(signature) == 64
        ed25519_key.public_key().verify(signature, b"1DELETE" + PATH.encode())

    @pytest.mark.parametrize(
        "change",
        [
            {"timestamp": "1703123456790"},
            {"method": "PUT"},
            {"path": PATH + "/x"},
            {"signature": "AAAA"},
            {"signature": "not base64!"},
        ],
    )
    def test_any_change_breaks_it(self, key, change: dict[str, str]) -> None:
        good = parts(Signer(KEY_ID, key).headers("GET", PATH, 1703123456789))
        assert not verify(key.public_key(), **(good | change))

    def test_the_other_key_does_not_verify_it(self, rsa_key, ed25519_key) -> None:
        headers = Signer(KEY_ID, ed25519_key).headers("GET", PATH, 1)
        assert not verify(rsa_key.public_key(), **parts(headers))

    def test_a_salt_of_another_length_is_refused_as_kalshi_refuses_it(self, rsa_key) -> None:
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
        signature = base64.b64encode(rsa_key.sign(b"1GET" + PATH.encode(), scheme, hashes.SHA256())).decode()
        assert not verify(rsa_key.public_key(), timestamp="1", method="GET", path=PATH, signature=signature)

    @given(
        method=st.sampled_from(["get", "GET", "post", "DELETE"]),
        path=st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters="?"), min_size=1, max_size=60),
        query=st.text(st.characters(codec="ascii", min_codepoint=33), max_size=30),
        now_ms=st.integers(1, 2**45),
    )
    def test_ed25519_verifies_whatever_the_request(self, ed25519_key, method: str, path: str, query: str, now_ms: int) -> None:
        headers = Signer(KEY_ID, ed25519_key).headers(method, f"/{path}?{query}", now_ms)
        assert verify(ed25519_key.public_key(), **parts(headers, method, "/" + path))
        with pytest.raises(InvalidSignature):
            ed25519_key.public_key().verify(base64.b64decode(headers[SIGNATURE_HEADER]), b"something else")


class TestLoading:
    """A PEM file that its owner alone can read, of a kind Kalshi takes."""

    def write(self, path: Path, content: bytes, mode: int = 0o600) -> Path:
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def test_a_key_loads_from_a_file_and_from_bytes(self, key, pem, tmp_path: Path) -> None:
        path = self.write(tmp_path / "key.pem", pem(key))
        for source in (path, str(path), pem(key)):
            assert load_signer(KEY_ID, source).fingerprint == Signer(KEY_ID, key).fingerprint

    def test_the_older_pem_of_rsa_loads_too(self, rsa_key) -> None:
        old = rsa_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        assert load_signer(KEY_ID, old).kind == "rsa-2048"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
    def test_a_file_others_can_use_is_refused_with_the_command_that_mends_it(self, ed25519_key, pem, tmp_path: Path, mode: int) -> None:
        path = self.write(tmp_path / "key.pem", pem(ed25519_key), mode)
        with pytest.raises(CredentialError, match=f"chmod 600 {path}"):
            load_private_key(path)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CredentialError, match="no such file"):
            load_private_key(tmp_path / "absent.pem")

    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CredentialError, match="not a regular file"):
            load_private_key(tmp_path)

    def test_a_pipe_in_its_place_does_not_hang_the_start(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe", 0o600)
        with pytest.raises(CredentialError, match="not a regular file"):
            load_private_key(tmp_path / "pipe")

    def test_a_path_that_cannot_be_opened_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CredentialError, match="cannot be read"):
            load_private_key(self.write(tmp_path / "file", b"x") / "key.pem")

    def test_an_encrypted_key_is_refused_with_the_command_that_mends_it(self, ed25519_key) -> None:
        locked = ed25519_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pass")
        )
        with pytest.raises(CredentialError, match=r"encrypted.*openssl pkey"):
            load_private_key(locked)

    def test_a_public_key_is_refused(self, ed25519_key) -> None:
        public = ed25519_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(CredentialError, match="holds no private key"):
            load_private_key(public)

    @pytest.mark.parametrize("content", [b"", b"  \n", b"hello", b"\x00\xff" * 40])
    def test_what_is_no_pem_is_refused(self, content: bytes) -> None:
        with pytest.raises(CredentialError, match=r"empty|no private key"):
            load_private_key(content)

    def test_a_damaged_key_is_refused(self, ed25519_key, pem) -> None:
        with pytest.raises(CredentialError, match="can be read"):
            load_private_key(pem(ed25519_key).replace(b"MC4", b"AAAA"))

    def test_other_kinds_of_key_are_refused(self, pem) -> None:
        for other in (ec.generate_private_key(ec.SECP256R1()), dsa.generate_private_key(1024)):
            with pytest.raises(CredentialError, match="neither RSA nor Ed25519"):
                load_private_key(pem(other))

    def test_a_short_rsa_key_is_refused(self, pem) -> None:
        with pytest.raises(CredentialError, match="1024 bits"):
            load_private_key(pem(rsa.generate_private_key(65537, 1024)))

    @pytest.mark.parametrize("key_id", ["", "two words", "line\nbreak", "schlüssel"])
    def test_a_key_id_that_no_header_can_carry_is_refused(self, ed25519_key, key_id: str) -> None:
        with pytest.raises(CredentialError, match="key id"):
            Signer(key_id, ed25519_key)


class TestSecrecy:
    """No repr and no message holds key material."""

    def test_the_repr_tells_the_kind_and_the_end_of_the_id_alone(self, key) -> None:
        signer = Signer(KEY_ID, key)
        assert repr(signer) == f"<Signer {signer.kind} key …{KEY_ID[-6:]}>"

    def test_no_message_repeats_the_file(self, ed25519_key, pem, tmp_path: Path) -> None:
        secret = pem(ed25519_key).splitlines()[1].decode()
        open_file = tmp_path / "key.pem"
        open_file.write_bytes(pem(ed25519_key))
        open_file.chmod(0o644)
        cut = pem(ed25519_key).replace(b"-----END PRIVATE KEY-----", b"")
        for source in (open_file, cut, secret.encode()):
            with pytest.raises(CredentialError) as caught:
                load_private_key(source)
            assert secret not in str(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__ or caught.value.__context__ is None

    def test_the_fingerprint_is_that_of_the_public_half(self, key, pem) -> None:
        again = load_signer("another-id", pem(key))
        assert again.fingerprint == Signer(KEY_ID, key).fingerprint
        assert again.fingerprint.startswith("SHA256:")
