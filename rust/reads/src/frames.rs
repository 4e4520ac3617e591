//! Messages on a stream: four bytes of length, little endian, then the bytes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

const READ_SIZE: usize = 64 * 1024;

/// A socket, and what came in and was not taken yet. A short message is one system call either way.
pub(crate) struct Frames {
    stream: UnixStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Frames {
    pub fn new(stream: UnixStream) -> Self {
        Frames { stream, buffer: vec![0; READ_SIZE], filled: 0 }
    }

    /// The next message, decoded by `take`; None at the end of the stream.
    pub fn receive<T>(&mut self, take: impl FnOnce(&[u8]) -> io::Result<T>) -> io::Result<Option<T>> {
        loop {
            if self.filled >= 4 {
                let length = u32::from_le_bytes(self.buffer[..4].try_into().expect("four bytes")) as usize;
                if self.filled >= 4 + length {
                    let taken = take(&self.buffer[4..4 + length])?;
                    self.buffer.copy_within(4 + length..self.filled, 0);
                    self.filled -= 4 + length;
                    if self.filled == 0 && self.buffer.len() > READ_SIZE {
                        self.buffer = vec![0; READ_SIZE];
                    }
                    return Ok(Some(taken));
                }
                if self.buffer.len() < 4 + length {
                    self.buffer.resize(4 + length, 0);
                }
            }
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) if self.filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn send(&mut self, message: &impl borsh::BorshSerialize) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        message.serialize(&mut bytes)?;
        let length = u32::try_from(bytes.len() - 4).map_err(|_| io::Error::other("too long a message"))?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.stream.write_all(&bytes)
    }
}
