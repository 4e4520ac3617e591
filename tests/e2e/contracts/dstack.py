"""Quotes of trusted hardware, made up: what a node submits, and what a verifier says about it."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

EVENT_TYPE: Final = 0x08000001
SYSTEM: Final = {
    "mrtd": "a1" * 48,
    "rtmr0": "b2" * 48,
    "rtmr1": "c3" * 48,
    "rtmr2": "d4" * 48,
}
APP_COMPOSE: Final = {
    "manifest_version": 2,
    "name": "node",
    "runner": "docker-compose",
    "docker_compose_file": "",
    "kms_enabled": False,
    "gateway_enabled": False,
    "public_logs": True,
    "public_sysinfo": True,
    "local_key_provider_enabled": True,
    "allowed_envs": [],
    "no_instance_id": True,
}
COLLATERAL: Final = {
    "pck_crl_issuer_chain": "chain",
    "root_ca_crl": "00",
    "pck_crl": "01",
    "tcb_info_issuer_chain": "chain",
    "tcb_info": "{}",
    "tcb_info_signature": "02",
    "qe_identity_issuer_chain": "chain",
    "qe_identity": "{}",
    "qe_identity_signature": "03",
    "pck_certificate_chain": None,
}


@dataclass
class Machine:
    """A node on trusted hardware. Changing a field makes one thing about its quote wrong."""

    tls_key: bytes
    account_key: bytes
    image: str = "11" * 32
    compose_file: str = "services: one node"
    status: str = "UpToDate"
    kind: int = 1
    compose: dict[str, Any] = field(default_factory=dict)
    extra_events: list[tuple[str, bytes]] = field(default_factory=list)
    tampered: dict[str, Any] = field(default_factory=dict)

    @property
    def app_compose(self) -> str:
        return json.dumps(APP_COMPOSE | {"docker_compose_file": self.compose_file} | self.compose)

    @property
    def events(self) -> list[dict[str, Any]]:
        named = [
            ("compose-hash", hashlib.sha256(self.app_compose.encode()).digest()),
            ("key-provider", b"local"),
            ("mpc-image-digest", bytes.fromhex(self.image)),
            *self.extra_events,
        ]
        return [make_event(name, payload) for name, payload in named] + [
            {"imr": 0, "event_type": 1, "digest": "", "event": "boot", "event_payload": ""}
        ]

    @property
    def register(self) -> bytes:
        """What the events come to."""
        register = bytes(48)
        for event in self.events:
            if event["imr"] == 3:
                register = hashlib.sha384(register + bytes.fromhex(event["digest"])).digest()
        return register

    @property
    def measurement(self) -> dict[str, str]:
        return SYSTEM | {"key_provider_event_digest": make_event("key-provider", b"local")["digest"]}

    def submit(self) -> dict[str, Any]:
        """For `submit_participant_info`."""
        tcb_info = SYSTEM | {
            "rtmr3": self.register.hex(),
            "compose_hash": hashlib.sha256(self.app_compose.encode()).hexdigest(),
            "device_id": "",
            "app_compose": self.app_compose,
            "event_log": self.events,
        }
        return {"Dstack": {"quote": "abcd", "collateral": COLLATERAL, "tcb_info": tcb_info | self.tampered}}

    def report(self) -> bytes:
        """What a verifier answers: the quote is genuine, and this is what was measured."""
        keys = hashlib.sha3_384(self.tls_key + self.account_key).digest()
        zeros = {"tee_tcb_svn": 16, "mr_seam": 48, "mr_signer_seam": 48, "attributes": 8, "td": 8, "xfam": 8}
        domain = bytes(sum(zeros.values())) + bytes.fromhex(SYSTEM["mrtd"]) + bytes(3 * 48)
        domain += b"".join(bytes.fromhex(SYSTEM[f"rtmr{index}"]) for index in range(3)) + self.register
        domain += b"\x00\x01" + keys + bytes(14)
        bodies = {0: bytes(384), 1: domain, 2: domain + bytes(64)}
        part = b"\x00" + bytes(4)
        return (
            b"\x00"
            + text(self.status)
            + bytes(4)
            + bytes([self.kind])
            + bodies[self.kind]
            + bytes(4)
            + 2 * part
        )


def make_event(name: str, payload: bytes) -> dict[str, Any]:
    """An event of the application's register."""
    content = EVENT_TYPE.to_bytes(4, "little") + b":" + name.encode() + b":" + payload
    return {
        "imr": 3,
        "event_type": EVENT_TYPE,
        "digest": hashlib.sha384(content).hexdigest(),
        "event": name,
        "event_payload": payload.hex(),
    }


def text(value: str) -> bytes:
    """A text in borsh."""
    return len(value).to_bytes(4, "little") + value.encode()


def reject(reason: str) -> bytes:
    """What a verifier answers to a quote that is not genuine."""
    return b"\x01\x00" + text(reason)


def make_verifier(answer: bytes) -> bytes:
    """A contract whose `verify_quote` gives this answer."""

    def number(value: int) -> bytes:
        parts = []
        while True:
            parts.append(value & 0x7F)
            value >>= 7
            if not value:
                return bytes(part | 0x80 for part in parts[:-1]) + bytes(parts[-1:])

    def signed(value: int) -> bytes:
        encoded = number(value)
        return encoded if not encoded[-1] & 0x40 else encoded[:-1] + bytes([encoded[-1] | 0x80, 0])

    def section(id_: int, content: bytes) -> bytes:
        return bytes([id_]) + number(len(content)) + content

    def name(value: str) -> bytes:
        return number(len(value)) + value.encode()

    code = b"\x00\x42" + signed(len(answer)) + b"\x42\x00\x10\x00\x0b"
    return (
        b"\x00asm\x01\x00\x00\x00"
        + section(1, b"\x02\x60\x02\x7e\x7e\x00\x60\x00\x00")
        + section(2, b"\x01" + name("env") + name("value_return") + b"\x00\x00")
        + section(3, b"\x01\x01")
        + section(5, b"\x01\x00\x01")
        + section(7, b"\x01" + name("verify_quote") + b"\x00\x01")
        + section(10, b"\x01" + number(len(code)) + code)
        + section(11, b"\x01\x00\x41\x00\x0b" + number(len(answer)) + answer)
    )
