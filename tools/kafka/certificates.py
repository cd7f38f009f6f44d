"""Certificates for a cluster that is to be tried: an authority of its own, a key for 127.0.0.1, another authority."""

import subprocess
from pathlib import Path
from typing import Final

STORE_PASSWORD: Final = "only-for-tests"  # noqa: S105 - of keys made for one run
NAMES: Final = "san=ip:127.0.0.1,dns:localhost"


def make_certificates(folder: Path) -> None:
    """Write what a broker and its clients need, unless it is there.

    `broker.p12` holds the broker's key; clients trust `ca.pem`, which is its certificate. `other.pem` is that of a
    key nobody uses: who trusts it alone must refuse the broker.

    Raises:
        RuntimeError: keytool, which comes with Java, failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for store, pem in (("broker", "ca.pem"), ("other", "other.pem")):
        if not (folder / pem).exists():
            _make(folder / f"{store}.p12", folder / pem)


def _make(store: Path, pem: Path) -> None:
    common = (
        "-keystore",
        str(store),
        "-storetype",
        "PKCS12",
        "-storepass",
        STORE_PASSWORD,
        "-alias",
        "broker",
    )
    made = ("-keyalg", "EC", "-groupname", "secp256r1", "-validity", "365")
    _keytool("-genkeypair", *common, *made, "-dname", f"CN={store.stem}", "-ext", NAMES, "-ext", "bc:c")
    _keytool("-exportcert", *common, "-rfc", "-file", str(pem))


def _keytool(*arguments: str) -> None:
    done = subprocess.run(["keytool", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"keytool {arguments[0]}: {(done.stdout + done.stderr).strip()[:300]}")
