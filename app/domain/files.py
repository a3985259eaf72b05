"""Files that settings name: whether one has changed, and certificates and keys in PEM."""

from __future__ import annotations

import ssl
from pathlib import Path

Stamp = tuple[int, int, int]


def stamp(file: Path | None) -> Stamp | None:
    """What changes with a file's content, also where it is replaced behind a link; None where there
    is no file."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None


class _Encrypted(Exception):
    """The key wants a passphrase that nobody has set."""


def load_authorities(context: ssl.SSLContext, setting: str, file: Path) -> None:
    """Trusts the certificates in `file`. Raises `ValueError` naming the setting."""
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{setting}: {_why(error, 'a certificate in PEM form')}") from None


def load_pair(
    context: ssl.SSLContext, setting: str, certificate: Path, key: Path, passphrase: str | None
) -> None:
    """Has a certificate and its key shown to the other side. Raises `ValueError`.

    `setting`: how the names of both their settings begin. Never asks at a terminal.
    """
    load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), f"{setting}_CERTIFICATE", certificate)
    name = f"{setting}_KEY"
    try:
        context.load_cert_chain(certificate, key, _refuse if passphrase is None else passphrase)
    except _Encrypted:
        raise ValueError(f"{name}: it is encrypted; set {setting}_KEYPASSPHRASE") from None
    except (ssl.SSLError, OSError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{name}: it is not the key of {setting}_CERTIFICATE") from None
        opened = "" if passphrase is None else f" that {setting}_KEYPASSPHRASE opens"
        raise ValueError(f"{name}: {_why(error, f'a private key in PEM form{opened}')}") from None


def _refuse() -> str:
    raise _Encrypted


def _why(error: Exception, wanted: str) -> str:
    """An `SSLError` has no word for what is no PEM."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return f"cannot be read: {error.strerror}"
    return f"not {wanted}"
