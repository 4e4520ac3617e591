//! Bitcoin: payments from one P2WPKH address to any address, hashed by BIP-143.

use crate::text::{decode_base58_checked, decode_witness_address};
use crate::{EcdsaSignature, Hashing, Invalid};

const VERSION: u32 = 2;
/// Says that a transaction with a higher fee may take the place (BIP-125).
const SEQUENCE_REPLACEABLE: u32 = 0xffff_fffd;
const LOCK_TIME: u32 = 0;
const SIGHASH_ALL: u8 = 1;
const WITNESS_MARK: [u8; 2] = [0, 1];

/// How a network writes its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub witness_prefix: &'static str,
    pub key_version: u8,
    pub script_version: u8,
}

pub const MAIN: Network = Network { witness_prefix: "bc", key_version: 0, script_version: 5 };
pub const TEST: Network = Network { witness_prefix: "tb", key_version: 111, script_version: 196 };
pub const REGTEST: Network = Network { witness_prefix: "bcrt", key_version: 111, script_version: 196 };

/// An output that is spent. `transaction_id` is in the order of hashing: the reverse of what people write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    pub transaction_id: [u8; 32],
    pub index: u32,
    pub amount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub amount: u64,
    pub script: Vec<u8>,
}

/// All coins are those of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub coins: Vec<Coin>,
    pub outputs: Vec<Output>,
}

impl Transaction {
    /// What is signed for each coin, in order.
    pub fn compute_digests<H: Hashing>(&self, public_key: &[u8; 33]) -> Vec<[u8; 32]> {
        let hash = |data: &[u8]| H::sha256(&H::sha256(data));
        let points: Vec<u8> = self.coins.iter().flat_map(encode_point).collect();
        let sequences: Vec<u8> = self.coins.iter().flat_map(|_| SEQUENCE_REPLACEABLE.to_le_bytes()).collect();
        let outputs: Vec<u8> = self.outputs.iter().flat_map(encode_output).collect();
        let (points, sequences, outputs) = (hash(&points), hash(&sequences), hash(&outputs));
        let key_hash = hash_key::<H>(public_key);
        let code = [&[0x19, 0x76, 0xa9, 0x14], &key_hash[..], &[0x88, 0xac]].concat();
        let digest = |coin: &Coin| {
            let parts: [&[u8]; 10] = [
                &VERSION.to_le_bytes(),
                &points,
                &sequences,
                &encode_point(coin),
                &code,
                &coin.amount.to_le_bytes(),
                &SEQUENCE_REPLACEABLE.to_le_bytes(),
                &outputs,
                &LOCK_TIME.to_le_bytes(),
                &u32::from(SIGHASH_ALL).to_le_bytes(),
            ];
            hash(&parts.concat())
        };
        self.coins.iter().map(digest).collect()
    }

    /// What is sent; one signature a coin, in order.
    pub fn encode_signed(&self, public_key: &[u8; 33], signatures: &[EcdsaSignature]) -> Vec<u8> {
        assert_eq!(signatures.len(), self.coins.len(), "one signature a coin");
        let mut bytes = [&VERSION.to_le_bytes()[..], &WITNESS_MARK].concat();
        bytes.extend(self.encode_core());
        for signature in signatures {
            let der = encode_der(signature);
            bytes.push(2);
            bytes.push(der.len() as u8 + 1);
            bytes.extend(der);
            bytes.push(SIGHASH_ALL);
            bytes.push(public_key.len() as u8);
            bytes.extend(public_key);
        }
        bytes.extend(LOCK_TIME.to_le_bytes());
        bytes
    }

    /// In the order of hashing.
    pub fn compute_id<H: Hashing>(&self) -> [u8; 32] {
        let bytes = [&VERSION.to_le_bytes()[..], &self.encode_core(), &LOCK_TIME.to_le_bytes()].concat();
        H::sha256(&H::sha256(&bytes))
    }

    fn encode_core(&self) -> Vec<u8> {
        let mut bytes = encode_count(self.coins.len());
        for coin in &self.coins {
            bytes.extend(encode_point(coin));
            bytes.push(0); // The script of a witness input is empty.
            bytes.extend(SEQUENCE_REPLACEABLE.to_le_bytes());
        }
        bytes.extend(encode_count(self.outputs.len()));
        bytes.extend(self.outputs.iter().flat_map(encode_output));
        bytes
    }
}

/// The script that pays to a key (P2WPKH).
pub fn derive_script<H: Hashing>(public_key: &[u8; 33]) -> Vec<u8> {
    [&[0x00, 0x14], &hash_key::<H>(public_key)[..]].concat()
}

/// The script that pays to an address: P2WPKH, P2WSH, taproot, P2PKH, P2SH.
pub fn parse_address<H: Hashing>(text: &str, network: &Network) -> Result<Vec<u8>, Invalid> {
    let is_witness = text
        .get(..network.witness_prefix.len() + 1)
        .is_some_and(|start| start.eq_ignore_ascii_case(&format!("{}1", network.witness_prefix)));
    if is_witness {
        let (version, program) = decode_witness_address(text, network.witness_prefix)?;
        let opcode = if version == 0 { 0 } else { 0x50 + version };
        return Ok([&[opcode, program.len() as u8], &program[..]].concat());
    }
    let (version, hash) = decode_base58_checked::<H>(text)?;
    if hash.len() != 20 {
        return Err(Invalid::new("not the hash of a key or script"));
    }
    if version == network.key_version {
        Ok([&[0x76, 0xa9, 0x14], &hash[..], &[0x88, 0xac]].concat())
    } else if version == network.script_version {
        Ok([&[0xa9, 0x14], &hash[..], &[0x87]].concat())
    } else {
        Err(Invalid::new("an address of another network"))
    }
}

/// Reads a transaction's id as people write it.
pub fn parse_transaction_id(text: &str) -> Result<[u8; 32], Invalid> {
    let mut id = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(Invalid::new("a transaction id has 64 hexadecimal digits"));
    }
    for (at, byte) in id.iter_mut().rev().enumerate() {
        *byte =
            u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| Invalid::new("not hexadecimal"))?;
    }
    Ok(id)
}

fn hash_key<H: Hashing>(public_key: &[u8; 33]) -> [u8; 20] {
    H::ripemd160(&H::sha256(public_key))
}

fn encode_point(coin: &Coin) -> Vec<u8> {
    [&coin.transaction_id[..], &coin.index.to_le_bytes()].concat()
}

fn encode_output(output: &Output) -> Vec<u8> {
    [&output.amount.to_le_bytes()[..], &encode_count(output.script.len()), &output.script].concat()
}

fn encode_count(count: usize) -> Vec<u8> {
    match count {
        0..=0xfc => vec![count as u8],
        0xfd..=0xffff => [&[0xfd], &(count as u16).to_le_bytes()[..]].concat(),
        _ => [&[0xfe], &(count as u32).to_le_bytes()[..]].concat(),
    }
}

fn encode_der(signature: &EcdsaSignature) -> Vec<u8> {
    let body = [encode_der_integer(&signature.r), encode_der_integer(&signature.s)].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}

fn encode_der_integer(big_endian: &[u8; 32]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|&&byte| byte == 0).count().min(31);
    let digits = &big_endian[zeros..];
    let sign = if digits[0] & 0x80 != 0 { &[0][..] } else { &[] };
    [&[0x02, (sign.len() + digits.len()) as u8], sign, digits].concat()
}

/// Id (in the order of hashing) and outputs of a transaction as it is sent, with witnesses or without.
pub fn read_transaction<H: Hashing>(raw: &[u8]) -> Result<([u8; 32], Vec<Output>), Invalid> {
    let mut reader = Reader { rest: raw };
    let version = reader.take(4)?.to_vec();
    let has_witness = reader.rest.first() == Some(&0);
    if has_witness && reader.take(2)? != WITNESS_MARK {
        return Err(Invalid::new("unknown flags in the transaction"));
    }
    let core = reader.rest;
    let inputs = reader.count()?;
    for _ in 0..inputs {
        reader.take(36)?;
        let length = reader.count()?;
        reader.take(length)?;
        reader.take(4)?;
    }
    let mut outputs = Vec::new();
    for _ in 0..reader.count()? {
        let amount = u64::from_le_bytes(reader.take(8)?.try_into().expect("eight were taken"));
        let length = reader.count()?;
        outputs.push(Output { amount, script: reader.take(length)?.to_vec() });
    }
    let core = &core[..core.len() - reader.rest.len()];
    if has_witness {
        for _ in 0..inputs {
            for _ in 0..reader.count()? {
                let length = reader.count()?;
                reader.take(length)?;
            }
        }
    }
    let lock_time = reader.take(4)?;
    if !reader.rest.is_empty() || inputs == 0 {
        return Err(Invalid::new("not exactly one transaction"));
    }
    let id = H::sha256(&H::sha256(&[&version, core, lock_time].concat()));
    Ok((id, outputs))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], Invalid> {
        if size > self.rest.len() {
            return Err(Invalid::new("the transaction ends too early"));
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, Invalid> {
        let size = match self.take(1)?[0] {
            0xfd => 2,
            0xfe => 4,
            0xff => return Err(Invalid::new("a count that no transaction can have")),
            small => return Ok(usize::from(small)),
        };
        Ok(self.take(size)?.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }
}
