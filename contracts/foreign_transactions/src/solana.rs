//! Solana: transfers of lamports as messages of version 0. The whole message is signed.

use crate::text::decode_base58;
use crate::Invalid;

const VERSION_0: u8 = 0x80;
const SYSTEM_PROGRAM: Key = [0; 32];
const TRANSFER: u32 = 2;

pub type Key = [u8; 32];

/// From the signer, who also pays the fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub sender: Key,
    pub receiver: Key,
    pub lamports: u64,
    pub blockhash: [u8; 32],
}

impl Transfer {
    /// What is signed.
    pub fn encode_message(&self) -> Vec<u8> {
        // Signers first, then accounts that are written, then those that are read; each once.
        let mut keys = vec![self.sender];
        if self.receiver != self.sender {
            keys.push(self.receiver);
        }
        let receiver_index = keys.len() as u8 - 1;
        let program_index = keys.len() as u8;
        keys.push(SYSTEM_PROGRAM);
        let mut bytes = vec![VERSION_0, 1, 0, 1, keys.len() as u8];
        bytes.extend(keys.iter().flatten());
        bytes.extend(self.blockhash);
        bytes.extend([1, program_index, 2, 0, receiver_index, 12]);
        bytes.extend(TRANSFER.to_le_bytes());
        bytes.extend(self.lamports.to_le_bytes());
        bytes.push(0); // Lookup tables.
        bytes
    }

    /// What is sent.
    pub fn encode_signed(&self, signature: &[u8; 64]) -> Vec<u8> {
        [&[1], &signature[..], &self.encode_message()].concat()
    }
}

/// Reads an address, a program or a blockhash: 32 bytes in base58.
pub fn parse_key(text: &str) -> Result<Key, Invalid> {
    decode_base58(text)?.try_into().map_err(|_| Invalid::new("not 32 bytes in base58"))
}
