//! How bytes and keys are written in JSON: hex without 0x, `ed25519:` and base58.

use near_sdk::borsh::{BorshDeserialize, BorshSerialize};
use near_sdk::bs58;
use near_sdk::serde::de::Error;
use near_sdk::serde::{Deserialize, Deserializer, Serialize, Serializer};

/// So many bytes, in JSON as lower-case hex; either case is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(crate = "near_sdk::borsh")]
pub struct Hex<const SIZE: usize>(pub [u8; SIZE]);

/// A SHA-256 hash or what is as long.
pub type Hash256 = Hex<32>;
/// A SHA-384 hash, as trusted hardware measures.
pub type Hash384 = Hex<48>;

/// Any number of bytes, in JSON as hex.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(crate = "near_sdk::borsh")]
pub struct HexBytes(pub Vec<u8>);

/// An ed25519 key of a node: of its account, or of its TLS certificate. In JSON `ed25519:` and base58.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(crate = "near_sdk::borsh")]
pub struct NodeKey(pub [u8; 32]);

/// Bytes of exactly this size, from hex.
pub fn decode_hex<const SIZE: usize>(text: &str) -> Option<[u8; SIZE]> {
    decode_hex_bytes(text)?.try_into().ok()
}

/// Bytes from hex of either case.
pub fn decode_hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8);
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Lower-case hex.
pub fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of exactly this size behind a prefix and a colon, in base58.
pub fn decode_base58<const SIZE: usize>(text: &str, prefix: &str) -> Option<[u8; SIZE]> {
    let data = text.strip_prefix(prefix)?.strip_prefix(':')?;
    bs58::decode(data).into_vec().ok()?.try_into().ok()
}

/// The text that `decode_base58` reads.
pub fn encode_base58(bytes: &[u8], prefix: &str) -> String {
    format!("{prefix}:{}", bs58::encode(bytes).into_string())
}

impl NodeKey {
    /// From the key that signed the transaction; None unless it is ed25519.
    pub fn from_public_key(key: &near_sdk::PublicKey) -> Option<Self> {
        let bytes = key.as_bytes();
        (bytes.first() == Some(&0)).then(|| bytes[1..].try_into().ok().map(Self)).flatten()
    }

    /// As JSON has it.
    pub fn to_text(self) -> String {
        encode_base58(&self.0, "ed25519")
    }
}

impl<const SIZE: usize> Serialize for Hex<SIZE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_hex(&self.0))
    }
}

impl<'de, const SIZE: usize> Deserialize<'de> for Hex<SIZE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        let bytes = decode_hex(&text);
        bytes.map(Self).ok_or_else(|| D::Error::custom(format!("expected {SIZE} bytes in hex, without 0x")))
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        decode_hex_bytes(&text).map(Self).ok_or_else(|| D::Error::custom("expected hex, without 0x"))
    }
}

impl Serialize for NodeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for NodeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        decode_base58(&text, "ed25519")
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("expected ed25519: and 32 bytes in base58, not {text}")))
    }
}
