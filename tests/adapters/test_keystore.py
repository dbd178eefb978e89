"""Keys: signatures and transactions as eth_account makes them; keystore files, honest and hostile."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proml.adapters.keystore import KeystoreSigner, read_keystore, write_keystore
from proml.adapters.local_signer import LocalSigner, recover_address
from proml.adapters.new_file import write_new_file
from proml.adapters.transaction_bytes import decode_signed
from proml.core.words import checksum_address
from proml.errors import IdentityError, LocalStorageError, VerificationError
from proml.ports import Fees, UnsignedTransaction

if TYPE_CHECKING:
    from pathlib import Path

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = bytes.fromhex("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d")
SIGNER = LocalSigner(KEY)

# Web3 Secret Storage Definition, "Test Vectors"; the passphrase is testpassword, the key is KEY.
PBKDF2_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
SCRYPT_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


# -------------------------------------------------------------------------------------------------------- signatures

private_keys = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
hashes = st.binary(min_size=32, max_size=32)


@given(private_keys)
def test_an_address_is_that_of_eth_account(key: bytes) -> None:
    assert LocalSigner(key).address == Account.from_key(key).address


@given(private_keys, hashes)
def test_a_signature_is_that_of_eth_account(key: bytes, digest: bytes) -> None:
    assert LocalSigner(key).sign_hash(digest) == bytes(Account.unsafe_sign_hash(digest, key).signature)


numbers = st.integers(0, 2**64 - 1)
transactions = st.builds(
    UnsignedTransaction,
    chain_id=st.integers(1, 2**53),
    nonce=numbers,
    to=st.none() | st.binary(min_size=20, max_size=20).map(checksum_address),
    data=st.binary(max_size=300),
    gas=st.integers(21_000, 2**40),
    fees=st.builds(Fees, max_fee=numbers, max_priority_fee=numbers),
    value=st.integers(0, 2**100),
)


@given(private_keys, transactions)
def test_a_signed_transaction_is_that_of_eth_account(key: bytes, unsigned: UnsignedTransaction) -> None:
    theirs = {
        "type": 2,
        "chainId": unsigned.chain_id,
        "nonce": unsigned.nonce,
        "to": unsigned.to or b"",
        "data": unsigned.data,
        "gas": unsigned.gas,
        "maxFeePerGas": unsigned.fees.max_fee,
        "maxPriorityFeePerGas": unsigned.fees.max_priority_fee,
        "value": unsigned.value,
    }
    assert LocalSigner(key).sign_transaction(unsigned) == bytes(Account.sign_transaction(theirs, key).raw_transaction)


@given(private_keys, transactions, numbers)
def test_a_legacy_transaction_is_that_of_eth_account(key: bytes, unsigned: UnsignedTransaction, price: int) -> None:
    legacy = replace(unsigned, fees=Fees(price, price, is_legacy=True))
    theirs = {
        "chainId": unsigned.chain_id,
        "nonce": unsigned.nonce,
        "to": unsigned.to or b"",
        "data": unsigned.data,
        "gas": unsigned.gas,
        "gasPrice": price,
        "value": unsigned.value,
    }
    assert LocalSigner(key).sign_transaction(legacy) == bytes(Account.sign_transaction(theirs, key).raw_transaction)


fees_of_both_kinds = st.builds(Fees, numbers, numbers), numbers.map(lambda price: Fees(price, price, is_legacy=True))


@pytest.mark.parametrize("kind", [0, 1], ids=["EIP-1559", "legacy"])
@given(private_keys, transactions, st.data())
def test_a_repriced_transaction_differs_in_its_fees_alone(
    kind: int, key: bytes, unsigned: UnsignedTransaction, data: st.DataObject
) -> None:
    signer = LocalSigner(key)
    old = replace(unsigned, fees=data.draw(fees_of_both_kinds[kind]))
    fees = data.draw(fees_of_both_kinds[kind])
    raw = signer.sign_transaction(old)
    assert decode_signed(raw) == old
    assert decode_signed(signer.reprice(raw, fees)) == replace(old, fees=fees)
    assert signer.reprice(raw, fees) == signer.sign_transaction(replace(old, fees=fees))


@pytest.mark.parametrize("size", [55, 56, 255, 256, 65_535, 65_536])
def test_data_of_every_length_class_of_rlp_is_encoded(size: int) -> None:
    unsigned = UnsignedTransaction(1, 0, SIGNER.address, b"\x80" * size, 10**7, Fees(1, 1))
    sender = Account.recover_transaction(SIGNER.sign_transaction(unsigned))
    assert sender == SIGNER.address


@given(private_keys, hashes)
def test_a_signature_tells_its_address(key: bytes, digest: bytes) -> None:
    signer = LocalSigner(key)
    assert recover_address(digest, signer.sign_hash(digest)) == signer.address


@given(hashes, st.binary(max_size=70))
def test_what_is_no_signature_is_refused_or_is_of_somebody_else(digest: bytes, signature: bytes) -> None:
    with contextlib.suppress(VerificationError):
        assert recover_address(digest, signature) != SIGNER.address


def test_a_signature_with_a_high_s_is_refused() -> None:
    signature = SIGNER.sign_hash(b"d" * 32)
    high = (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    flipped = signature[:32] + high + bytes([55 - signature[64]])
    with pytest.raises(VerificationError):
        recover_address(b"d" * 32, flipped)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(33)])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(IdentityError, match="private key"):
        LocalSigner(key)


def test_new_keys_differ() -> None:
    assert LocalSigner.generate().address != LocalSigner.generate().address


def test_a_signer_does_not_show_its_key() -> None:
    assert KEY.hex() not in repr(SIGNER)
    assert SIGNER.address in repr(SIGNER)


# ------------------------------------------------------------------------------------------------------ honest files


def save(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("vector", [PBKDF2_VECTOR, SCRYPT_VECTOR], ids=["pbkdf2", "scrypt"])
def test_the_test_vectors_of_the_definition_open(tmp_path: Path, vector: object) -> None:
    assert KeystoreSigner.open(save(tmp_path / "k.json", vector), b"testpassword").private_key == KEY


@pytest.mark.parametrize("light", [True, False])
def test_a_written_keystore_opens_again(tmp_path: Path, *, light: bool) -> None:
    write_keystore(tmp_path / "k.json", SIGNER, "pässwörd".encode(), light=light)
    opened = KeystoreSigner.open(tmp_path / "k.json", "pässwörd".encode())
    assert (opened.address, opened.private_key) == (SIGNER.address, KEY)


def test_a_written_keystore_opens_in_eth_account(tmp_path: Path) -> None:
    write_keystore(tmp_path / "k.json", SIGNER, b"secret", light=True, beside={"name": "ann"})
    assert bytes(Account.decrypt((tmp_path / "k.json").read_text(), "secret")) == KEY


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_a_keystore_of_eth_account_opens(tmp_path: Path, kdf: Any) -> None:
    theirs = Account.encrypt(KEY, "secret", kdf=kdf, iterations=4096)
    assert KeystoreSigner.open(save(tmp_path / "k.json", theirs), b"secret").private_key == KEY


def test_a_person_s_passphrase_is_made_dear_to_guess(tmp_path: Path) -> None:
    write_keystore(tmp_path / "k.json", SIGNER, b"secret")
    parameters = read_keystore(tmp_path / "k.json")["crypto"]["kdfparams"]
    assert (parameters["n"], parameters["r"], parameters["p"]) == (262_144, 8, 1)


def test_two_keystores_of_one_key_share_no_secret_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_keystore(tmp_path / name, SIGNER, b"secret", light=True)
    a, b = (read_keystore(tmp_path / name)["crypto"] for name in ("a", "b"))
    assert a["ciphertext"] != b["ciphertext"]
    assert a["kdfparams"]["salt"] != b["kdfparams"]["salt"]


def test_only_its_owner_may_read_a_keystore(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_keystore(tmp_path / "keys" / "k.json", SIGNER, b"secret", light=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys" / "k.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="empty"):
        write_keystore(tmp_path / "k.json", SIGNER, b"")
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------------------------------------- hostile files


def altered(tmp_path: Path, *path: str, value: object) -> Path:
    """Writes the scrypt vector with one entry replaced (a cheap derivation, so that nothing is slow)."""
    document: dict[str, Any] = json.loads(json.dumps(SCRYPT_VECTOR))
    document["crypto"]["kdfparams"] |= {"n": 2, "r": 1, "p": 1}
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return save(tmp_path / "k.json", document)


def test_a_wrong_passphrase_is_told_as_such(tmp_path: Path) -> None:
    write_keystore(tmp_path / "k.json", SIGNER, b"secret", light=True)
    with pytest.raises(IdentityError, match="wrong passphrase"):
        KeystoreSigner.open(tmp_path / "k.json", b"Secret")


def test_a_missing_keystore_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="found no file"):
        KeystoreSigner.open(tmp_path / "k.json", b"secret")


def test_a_folder_in_its_place_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(LocalStorageError, match="cannot be read"):
        KeystoreSigner.open(tmp_path, b"secret")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"version": 4}',
        b'{"version": 3}',
        b'{"version":3,"version":3}',
        b"9" * 70_000,
    ],
)
def test_a_file_that_is_no_keystore_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "k.json").write_bytes(data)
    with pytest.raises(IdentityError):
        KeystoreSigner.open(tmp_path / "k.json", b"secret")


BOMBS = [{"n": 2**40}, {"n": 2**24, "r": 8}, {"r": 2**30}, {"p": 2**24}, {"n": 2**18, "p": 2**10}, {"dklen": 2**31}]


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
def test_parameters_that_would_exhaust_the_machine_are_refused_before_computing(
    tmp_path: Path, bomb: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def derive(*_: object, **__: object) -> bytes:
        pytest.fail("it began to compute")

    monkeypatch.setattr("hashlib.scrypt", derive)
    parameters = {**SCRYPT_VECTOR["crypto"]["kdfparams"], **bomb}  # type: ignore[index]
    with pytest.raises(IdentityError, match=r"expected (scrypt parameters|dklen)"):
        KeystoreSigner.open(altered(tmp_path, "crypto", "kdfparams", value=parameters), b"secret")


def test_endless_rounds_of_pbkdf2_are_refused(tmp_path: Path) -> None:
    document = json.loads(json.dumps(PBKDF2_VECTOR))
    document["crypto"]["kdfparams"]["c"] = 2**31
    with pytest.raises(IdentityError, match="rounds"):
        KeystoreSigner.open(save(tmp_path / "k.json", document), b"secret")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("crypto",), None),
        (("crypto", "cipher"), "aes-128-cbc"),
        (("crypto", "cipherparams"), []),
        (("crypto", "cipherparams", "iv"), "zz"),
        (("crypto", "cipherparams", "iv"), "00" * 17),
        (("crypto", "ciphertext"), ""),
        (("crypto", "ciphertext"), "00" * 33),
        (("crypto", "mac"), 7),
        (("crypto", "mac"), ""),
        (("crypto", "kdf"), "argon2"),
        (("crypto", "kdf"), "pbkdf2"),
        (("crypto", "kdfparams"), 1),
        (("crypto", "kdfparams", "n"), 3),
        (("crypto", "kdfparams", "n"), 1),
        (("crypto", "kdfparams", "n"), 0),
        (("crypto", "kdfparams", "n"), -2),
        (("crypto", "kdfparams", "n"), "2"),
        (("crypto", "kdfparams", "n"), 2.0),
        (("crypto", "kdfparams", "p"), True),
        (("crypto", "kdfparams", "salt"), None),
        (("crypto", "kdfparams", "dklen"), 16),
    ],
    ids=str,
)
def test_a_broken_entry_is_told(tmp_path: Path, path: tuple[str, ...], value: object) -> None:
    with pytest.raises(IdentityError) as told:
        KeystoreSigner.open(altered(tmp_path, *path, value=value), b"secret")
    assert "wrong passphrase" not in told.value.message


def test_a_file_with_another_key_s_address_is_refused(tmp_path: Path) -> None:
    write_keystore(tmp_path / "k.json", SIGNER, b"secret", light=True)
    document = read_keystore(tmp_path / "k.json")
    save(tmp_path / "k.json", document | {"address": "00" * 20})
    with pytest.raises(IdentityError, match="was altered"):
        KeystoreSigner.open(tmp_path / "k.json", b"secret")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "k.json"
    write_keystore(path, SIGNER, b"secret", light=True)
    return path.read_bytes()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_altered_byte_never_yields_another_key(written: bytes, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(written)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "k.json").write_bytes(content)
    with contextlib.suppress(IdentityError):
        assert KeystoreSigner.open(tmp_path / "k.json", b"secret").private_key == KEY


# -------------------------------------------------------------------------------------------------- writing new files


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("the only copy")
    with pytest.raises(IdentityError, match="exists already"):
        write_new_file(tmp_path / "k.json", b"new")
    assert (tmp_path / "k.json").read_text() == "the only copy"
    assert [path.name for path in tmp_path.iterdir()] == ["k.json"]


def test_a_file_is_never_overwritten_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    write_new_file(tmp_path / "k.json", b"first")
    with pytest.raises(IdentityError, match="exists already"):
        write_new_file(tmp_path / "k.json", b"second")
    assert (tmp_path / "k.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["k.json"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalStorageError, match="No space left"):
        write_new_file(tmp_path / "k.json", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folder_s_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises((LocalStorageError, IdentityError)):
        write_new_file(tmp_path / "keys" / "k.json", b"data")
