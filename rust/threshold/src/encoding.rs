//! Bytes for what outlives a protocol run: key shares, triples, presignatures.
//!
//! Fixed lengths and explicit counts; a decoder takes exactly what its encoder writes.
//! Everything here is secret: the caller encrypts it before it reaches a disk.

use std::collections::BTreeMap;

use crate::group::Group;
use crate::keygen::KeyShare;
use crate::protocol::ParticipantId;

/// The bytes are not what an encoder of this kind wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored {0} is malformed")]
pub struct Malformed(pub &'static str);

/// Takes pieces from the front; whatever is missing makes it malformed.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed(self.what)
    }

    pub(crate) fn take(&mut self, size: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn number(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32], Malformed> {
        Ok(self.take(32)?.try_into().expect("32 bytes were taken"))
    }

    /// A count of items of at least `item_bytes` each.
    pub(crate) fn count(&mut self, item_bytes: usize) -> Result<usize, Malformed> {
        let count = self.number()? as usize;
        if count.saturating_mul(item_bytes) > self.rest.len() {
            return Err(self.malformed());
        }
        Ok(count)
    }

    pub(crate) fn ids(&mut self) -> Result<Vec<ParticipantId>, Malformed> {
        (0..self.count(4)?).map(|_| self.number()).collect()
    }

    pub(crate) fn scalar<G: Group>(&mut self) -> Result<G::Scalar, Malformed> {
        G::decode_scalar(self.take(32)?).ok_or_else(|| self.malformed())
    }

    pub(crate) fn point<G: Group>(&mut self) -> Result<G::Point, Malformed> {
        G::decode_point(self.take(G::POINT_BYTES)?).ok_or_else(|| self.malformed())
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, Malformed> {
        if self.rest.is_empty() {
            Ok(value)
        } else {
            Err(self.malformed())
        }
    }
}

pub(crate) fn write_number(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("counts and ids are small");
    bytes.extend(number.to_le_bytes());
}

pub(crate) fn write_ids(bytes: &mut Vec<u8>, ids: &[ParticipantId]) {
    write_number(bytes, ids.len());
    bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
}

impl<G: Group> KeyShare<G> {
    /// For the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.participant.to_le_bytes().to_vec();
        write_number(&mut bytes, self.threshold);
        bytes.extend(G::encode_scalar(&self.secret_share));
        bytes.extend(G::encode_point(&self.public_key));
        write_number(&mut bytes, self.public_shares.len());
        for (id, point) in &self.public_shares {
            bytes.extend(id.to_le_bytes());
            bytes.extend(G::encode_point(point));
        }
        bytes
    }

    /// # Errors
    /// When the bytes are not a share of this group.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "key share");
        let participant = reader.number()?;
        let threshold = reader.number()? as usize;
        let secret_share = reader.scalar::<G>()?;
        let public_key = reader.point::<G>()?;
        let count = reader.count(4 + G::POINT_BYTES)?;
        let mut public_shares = BTreeMap::new();
        for _ in 0..count {
            public_shares.insert(reader.number()?, reader.point::<G>()?);
        }
        let is_mine = public_shares.get(&participant).is_some_and(|point| *point == G::base(&secret_share));
        if public_shares.len() != count || !is_mine {
            return Err(reader.malformed());
        }
        reader.finish(Self { participant, threshold, secret_share, public_key, public_shares })
    }
}
