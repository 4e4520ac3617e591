"""Published vectors of derivation: the tweaks, app ids and keys that near/mpc's own tests and its clients hold fast.

``tests/e2e/contracts/test_signer_derivation.py`` asks the signer contract for the same keys.
"""

from itertools import product

import pytest

from hither.mpc.client import CURVES
from hither.mpc.contract import parse_public_key
from hither.mpc.protocols import compute_app_id, compute_tweak, derive_public_key

ACCOUNTS = ("dwefqwg", "qfweqwgwegqw", "fqwerijqw385", "fnwef0942534")
PATHS = ("frwewegwegweg", "fwei2.3f230", "f23fjwef8232", "fwefwo23fewfw")

TWEAKS = (
    "ad2d6fc1f445a1b43830415e7e6e3d03cd077673047848a085f130c24f53ee00",
    "5f76eba48a20e3dd355e38f512c142ab8c8da4999f6b32ecd326d227b44ac05a",
    "d133f73abcb3c7cb944dcc0dd3bf72dd89fdc3cf988c9f025af571a205c9b730",
    "3dd0192c45be59eee3dd0ba62776864245f7aac29514314b80baab2057453ec7",
    "510cd39f09b3c1bdc1fd655ce57ab29eb20dfce647584727fcca0e483163a8d0",
    "9cf7f40ab14bc5dd6feee48122b3d85f58461bd595e436fac186b8fa384f3048",
    "f53f5cb5c6902ee079681013b452f1908922f48fd668ad6ca522bd49842bf72a",
    "79051ad14a62552ee9da3fb813813a9d2f2fa8e1549e5f4c658254052562e18f",
    "f91edb212a03607ab61ce79f54e38901af6d9ff8709593f2d303e590691c26a6",
    "dfb60b3ba4348d3d787aa1af912910a4ccc2fb34e92c010fdae6730f4fab0734",
    "353862e7968f7f058a4f0498afbbcd504b6621690dfb3118878a7a6502e22e0e",
    "ac05f6320b0ed20f9f18a3531c571db237f41ab9b31203598bd8239631cb040f",
    "7571fcaad0445387087ebcde589540e80926cfd08144aa3f45bc78b8683d06c3",
    "74f118cfd013dc109848cfc5e0f963e1781dcbb095ae6429623007ccf59b6248",
    "874bdff117d6d90c0eb5cd7a181e7f20d99abfaa04f503e97867ec08f6796f96",
    "91da4d8973ea3ccaad9c7b71cb81fa512c4cc939c5157cdbf6a9605d3d1ce4a2",
)

APP_IDS = (
    "b8177b00468f97c337b3f921fbef7aaa959e9a49005aaa59768b795152f4c989",
    "16ac7db8b7c3ad2c5e8fe7d1a9e91ca6634cf9baf84952f85795f515e29cd275",
    "f1d47585609f34fd18fc109340e78c0822c9a010fae30b7e1ca83df48c994986",
    "55591d35775cabb829df65ae7dbd415554a7690657962952555fabf9eb8462e1",
    "2116717ccc7b1fd0053d96c975d6d2d39321012ff2cf66a328be6707f5d0f48c",
    "6042862796895d3b0e5678f5bc2da01b245fb8bf7e3515d261a7e93a963e25e3",
    "344162da86554a281123d58406ce4ba28518113fe1d66405924c9e9b1545e012",
    "90aae886b2533bd33464d922d3ccd1ed1a4d05786b39598ba79a04d0186bd2a4",
    "c26434220286c5878fac6d374492b0be520d80f08bdb2504126360e09ba082dc",
    "5ef85af87983f28e2b0bc1f2a5ce4d17c8814f86959bb4e1f2d288eafe9c337a",
    "b6c7c1cde6185ddb26eb497a2742eac4a05107ce687deaf44ef409c8ba483312",
    "086cb2e83885d66cd034010d7944e8b29e616be0f378eefa902672898df7b90c",
    "fe4c1e1948e2716f208ed94d63fa528181d8224234d0f5a22850b58580f84940",
    "55bd75937a299f9adebd9e12c095fd3479085b097c1456b393cc35a2909b1498",
    "82b56d55c9876ed6bf79af7a4a7bd21187aa16731d4c033bdb81921d698c6a5d",
    "411fbc46a494fe9a2f8c9cc9c82baee1a634df9578af381901561541ad6f32f3",
)

SECP256K1_ROOT = (
    "secp256k1:3PsZsvCDaDgG99DinUdnvrh22BYtXBWXZ7tNCboGUS6VangNYEcTLjKubkDQEhJFcP5yKsFRTthYVYnp5XkAVoZu"
)
ED25519_ROOT = "ed25519:6NsSnDe33StXL77UCg9J3eWmLL5fe6UsxTTujrGzZ2Eq"
"""Of the secret that near/mpc's snapshots draw from ``StdRng::from_seed([42; 32])``: 1be2d390…7fce31."""
DERIVED_KEYS = (
    # chainsig.js, from the contract of NEAR's testnet: src/constants.ts, __tests__/contracts/derivation.test.ts.
    (
        "secp256k1:4NfTiv3UsGahebgTaHyD9vF8KYKMBnfd6kh94mK6xv8fGBiJB8TBtFMP5WWXz6B89Ac1fbpzPwAvoyQebemHFwx3",
        ("derivation-test.testnet", "unit-test"),
        "secp256k1:3b3GS4kaAPvzxFUEYKiMvXeuBzttMZosggT3iAAbyZzAfQc1Dn4eLrDshNGGeKZyfSK7xegjPSq553NXHisMLiyA",
    ),
    (
        "ed25519:6vSEtQxrQj6txUMh33WC4ERyCWmNMRTdufDWAaDY3Un2",
        ("derivation-test.testnet", "unit-test"),
        "ed25519:49KFz8zeqrPcaSKqLCXtY79zW98ZW6Nd7W8vSsC7FdKJ",
    ),
    # near/mpc, crates/contract/src/crypto_shared/snapshots.
    (
        SECP256K1_ROOT,
        ("hello", "my-path"),
        "secp256k1:4zvzanBjPrvRWAr3mjdPX9sSkS8GZTZ11L6V2pcAbmHRd3HHbTyboHdWauExDmHrEoWnbhDkUwnzVEa8hg52C55p",
    ),
    (ED25519_ROOT, ("hello", "my-path"), "ed25519:2PbvaUFs54qWPt9U8PLQyzPfpGebm7JJ6nFcxJDYzY6M"),
)
"""Root key, account and path, derived key."""


def test_all_published_tweaks_are_reproduced() -> None:
    """Four accounts, four paths, in that order."""
    tweaks = [compute_tweak(account, path).hex() for account, path in product(ACCOUNTS, PATHS)]
    assert tweaks == list(TWEAKS)
    assert compute_tweak("dwefqwg", " frwewegwegweg").hex() not in TWEAKS


def test_all_published_app_ids_are_reproduced() -> None:
    """The same with the prefix of confidential keys, so no tweak is an app id."""
    app_ids = [compute_app_id(account, path).hex() for account, path in product(ACCOUNTS, PATHS)]
    assert app_ids == list(APP_IDS)
    assert not set(TWEAKS) & set(APP_IDS)


@pytest.mark.parametrize(("root", "of", "expected"), DERIVED_KEYS)
def test_all_published_keys_are_derived(root: str, of: tuple[str, str], expected: str) -> None:
    """On both curves; another path has another key."""
    key = parse_public_key(root)
    curve = CURVES[len(key)]
    assert derive_public_key(curve, key, compute_tweak(*of)) == parse_public_key(expected)
    assert derive_public_key(curve, key, compute_tweak(of[0], "another")) != parse_public_key(expected)
