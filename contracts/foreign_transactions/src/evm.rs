//! EVM chains: transactions of type 2 (EIP-1559), and of type 0 with a chain id (EIP-155).

use crate::{EcdsaSignature, Hashing, Invalid};

const FEE_MARKET_TYPE: u8 = 2;

pub type Address = [u8; 20];

/// A transaction. With `priority_fee_max` it is of type 2, without of type 0. No receiver creates a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub chain_id: u64,
    pub nonce: u64,
    pub priority_fee_max: Option<u128>,
    pub gas_price_max: u128,
    pub gas_limit: u64,
    pub receiver: Option<Address>,
    pub amount: u128,
    pub data: Vec<u8>,
}

impl Transaction {
    /// What is hashed with keccak256 and signed.
    pub fn encode_unsigned(&self) -> Vec<u8> {
        let mut fields = self.encode_fields();
        if self.priority_fee_max.is_none() {
            fields.extend([encode_number(u128::from(self.chain_id)), encode_number(0), encode_number(0)]);
        }
        self.finish(&fields)
    }

    /// What is sent.
    pub fn encode_signed(&self, signature: &EcdsaSignature) -> Vec<u8> {
        let parity = u128::from(signature.is_odd);
        let v = match self.priority_fee_max {
            Some(_) => parity,
            None => 35 + 2 * u128::from(self.chain_id) + parity,
        };
        let mut fields = self.encode_fields();
        fields.extend([encode_number(v), encode_integer(&signature.r), encode_integer(&signature.s)]);
        self.finish(&fields)
    }

    fn encode_fields(&self) -> Vec<Vec<u8>> {
        let mut fields = Vec::with_capacity(12);
        if self.priority_fee_max.is_some() {
            fields.push(encode_number(u128::from(self.chain_id)));
        }
        fields.push(encode_number(u128::from(self.nonce)));
        fields.extend(self.priority_fee_max.map(encode_number));
        fields.push(encode_number(self.gas_price_max));
        fields.push(encode_number(u128::from(self.gas_limit)));
        fields.push(encode_bytes(self.receiver.as_ref().map_or(&[], |one| &one[..])));
        fields.push(encode_number(self.amount));
        fields.push(encode_bytes(&self.data));
        if self.priority_fee_max.is_some() {
            fields.push(encode_list(&[])); // The access list.
        }
        fields
    }

    fn finish(&self, fields: &[Vec<u8>]) -> Vec<u8> {
        let list = encode_list(fields);
        match self.priority_fee_max {
            Some(_) => [&[FEE_MARKET_TYPE], &list[..]].concat(),
            None => list,
        }
    }
}

/// The address of an uncompressed public key, without its first byte 4.
pub fn derive_address<H: Hashing>(public_key: &[u8; 64]) -> Address {
    H::keccak256(public_key)[12..].try_into().expect("32 - 12 = 20")
}

/// Reads `0x…`. Letters in both cases must be the checksum (EIP-55).
pub fn parse_address<H: Hashing>(text: &str) -> Result<Address, Invalid> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40);
    let digits = digits.ok_or_else(|| Invalid::new("an address is 0x and 40 hexadecimal digits"))?;
    let mut address = [0; 20];
    for (byte, pair) in address.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| Invalid::new("not hexadecimal"))?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| Invalid::new("not hexadecimal"))?;
    }
    let has_checksum = digits.bytes().any(|one| one.is_ascii_lowercase())
        && digits.bytes().any(|one| one.is_ascii_uppercase());
    if has_checksum && format_address::<H>(&address) != text {
        return Err(Invalid::new("the address's checksum is wrong"));
    }
    Ok(address)
}

/// With its checksum.
pub fn format_address<H: Hashing>(address: &Address) -> String {
    let digits: String = address.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = H::keccak256(digits.as_bytes());
    let letters = digits.bytes().enumerate().map(|(at, letter)| {
        let nibble = hash[at / 2] >> (4 * (1 - at % 2)) & 15;
        char::from(if nibble >= 8 { letter.to_ascii_uppercase() } else { letter })
    });
    std::iter::once("0x".to_owned()).chain(letters.map(String::from)).collect()
}

fn encode_number(number: u128) -> Vec<u8> {
    encode_integer(&number.to_be_bytes())
}

/// RLP has no leading zeros.
fn encode_integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|&&byte| byte == 0).count();
    encode_bytes(&big_endian[zeros..])
}

fn encode_bytes(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [one] if *one < 0x80 => vec![*one],
        _ => [&encode_length(bytes.len(), 0x80)[..], bytes].concat(),
    }
}

fn encode_list(items: &[Vec<u8>]) -> Vec<u8> {
    let body = items.concat();
    [&encode_length(body.len(), 0xc0)[..], &body].concat()
}

fn encode_length(length: usize, offset: u8) -> Vec<u8> {
    if length <= 55 {
        return vec![offset + length as u8];
    }
    let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    [&[offset + 55 + bytes.len() as u8], &bytes[..]].concat()
}
