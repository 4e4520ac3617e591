//! Texts that addresses are written in: base58 (with and without a checksum), bech32 and bech32m (BIP-173, BIP-350).

use crate::{Hashing, Invalid};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const BASE58_LENGTH_MAX: usize = 64;
const BECH32_LENGTH_MAX: usize = 90;
const BECH32_CHECKSUM: u32 = 1;
const BECH32M_CHECKSUM: u32 = 0x2bc8_30a3;

/// The bytes of a base58 text.
pub fn decode_base58(text: &str) -> Result<Vec<u8>, Invalid> {
    if text.is_empty() || text.len() > BASE58_LENGTH_MAX {
        return Err(Invalid::new("not base58 of this length"));
    }
    // Little-endian while it grows.
    let mut bytes: Vec<u8> = Vec::new();
    for letter in text.bytes() {
        let digit = BASE58.iter().position(|&one| one == letter);
        let mut carry = digit.ok_or_else(|| Invalid::new("a letter that base58 does not have"))? as u32;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    bytes.extend(text.bytes().take_while(|&letter| letter == b'1').map(|_| 0));
    bytes.reverse();
    Ok(bytes)
}

/// Version and content of a base58 text with a checksum.
pub fn decode_base58_checked<H: Hashing>(text: &str) -> Result<(u8, Vec<u8>), Invalid> {
    let bytes = decode_base58(text)?;
    if bytes.len() < 5 {
        return Err(Invalid::new("too short for an address"));
    }
    let (content, checksum) = bytes.split_at(bytes.len() - 4);
    if H::sha256(&H::sha256(content))[..4] != *checksum {
        return Err(Invalid::new("the address's checksum is wrong"));
    }
    Ok((content[0], content[1..].to_vec()))
}

/// Version and program of a witness address with this prefix.
pub fn decode_witness_address(text: &str, prefix: &str) -> Result<(u8, Vec<u8>), Invalid> {
    let is_mixed =
        text.bytes().any(|one| one.is_ascii_lowercase()) && text.bytes().any(|one| one.is_ascii_uppercase());
    if is_mixed || text.len() > BECH32_LENGTH_MAX {
        return Err(Invalid::new("not a bech32 address"));
    }
    let lower = text.to_ascii_lowercase();
    let data = lower.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('1'));
    let data = data.ok_or_else(|| Invalid::new(format!("the address does not begin with {prefix}1")))?;
    let values = data
        .bytes()
        .map(|letter| BECH32.iter().position(|&one| one == letter).map(|value| value as u8))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| Invalid::new("a letter that bech32 does not have"))?;
    if values.len() < 7 {
        return Err(Invalid::new("too short for an address"));
    }
    let version = values[0];
    let wanted = if version == 0 { BECH32_CHECKSUM } else { BECH32M_CHECKSUM };
    if compute_checksum(prefix, &values) != wanted {
        return Err(Invalid::new("the address's checksum is wrong"));
    }
    let program = join_bits(&values[1..values.len() - 6])?;
    if !matches!((version, program.len()), (0, 20 | 32) | (1, 32)) {
        return Err(Invalid::new(
            "coins sent to a witness program that no rule protects yet would be anybody's",
        ));
    }
    Ok((version, program))
}

fn compute_checksum(prefix: &str, values: &[u8]) -> u32 {
    let high = prefix.bytes().map(|one| one >> 5);
    let low = prefix.bytes().map(|one| one & 31);
    let all = high.chain(std::iter::once(0)).chain(low).chain(values.iter().copied());
    all.fold(1, |sum: u32, value| {
        let top = sum >> 25;
        let terms = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let next = (sum & 0x1ff_ffff) << 5 ^ u32::from(value);
        terms
            .iter()
            .enumerate()
            .fold(next, |sum, (at, term)| if top >> at & 1 == 1 { sum ^ term } else { sum })
    })
}

fn join_bits(values: &[u8]) -> Result<Vec<u8>, Invalid> {
    let (mut buffer, mut bits) = (0u32, 0);
    let mut bytes = Vec::with_capacity(values.len() * 5 / 8);
    for &value in values {
        buffer = (buffer << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 0xff) as u8);
        }
    }
    if bits >= 5 || buffer & ((1 << bits) - 1) != 0 {
        return Err(Invalid::new("bits left over in the address"));
    }
    Ok(bytes)
}
