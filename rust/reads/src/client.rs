//! The side that asks.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;

use borsh::BorshDeserialize;
use hither_state::{Hash, Pair};
use hither_vm::{Call, CallOutcome};
use parking_lot::{Condvar, Mutex};

use crate::frames::Frames;
use crate::wire::{Answer, Question, Request, StateName};
use crate::ReadError;

struct Free {
    sockets: Vec<Frames>,
    /// Of all, those that still work.
    working: usize,
}

/// Values by name of the state and key; None where the state has no such key.
type Values = HashMap<(StateName, Vec<u8>), Option<Vec<u8>>>;

/// Asks over whichever socket is free; waits for one when all are busy.
pub struct Client {
    free: Mutex<Free>,
    returned: Condvar,
    ahead: Mutex<Values>,
}

impl Client {
    pub fn new(streams: Vec<UnixStream>) -> Self {
        let sockets: Vec<_> = streams.into_iter().map(Frames::new).collect();
        let working = sockets.len();
        Client {
            free: Mutex::new(Free { sockets, working }),
            returned: Condvar::new(),
            ahead: Mutex::default(),
        }
    }

    pub fn root(&self, state: StateName) -> Result<Hash, ReadError> {
        match self.ask(state, Question::Root)? {
            Answer::Root(root) => Ok(root),
            answer => Err(unexpected(answer)),
        }
    }

    /// Ask for all of these at once, for those who will `get` them next; what was read ahead before is forgotten.
    ///
    /// What has no answer is left out, so that its `get` says why.
    pub fn read_ahead(&self, wanted: Vec<(StateName, Vec<u8>)>) {
        let ask = |(state, key): &(StateName, Vec<u8>)| Request {
            state: *state,
            question: Question::Get { key: key.clone() },
        };
        let answers = self.ask_all(wanted.iter().map(ask).collect()).unwrap_or_default();
        let values = wanted.into_iter().zip(answers).filter_map(|(name, answer)| match answer {
            Answer::Value(value) => Some((name, value)),
            _ => None,
        });
        *self.ahead.lock() = values.collect();
    }

    pub fn get(&self, state: StateName, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let name = (state, key.to_vec());
        if let Some(value) = self.ahead.lock().get(&name) {
            return Ok(value.clone());
        }
        match self.ask(state, Question::Get { key: name.1 })? {
            Answer::Value(value) => Ok(value),
            answer => Err(unexpected(answer)),
        }
    }

    pub fn scan(
        &self,
        state: StateName,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: Option<u64>,
    ) -> Result<Vec<Pair>, ReadError> {
        let question = Question::Scan { prefix: prefix.to_vec(), after: after.map(<[u8]>::to_vec), limit };
        match self.ask(state, question)? {
            Answer::Pairs(pairs) => Ok(pairs),
            answer => Err(unexpected(answer)),
        }
    }

    pub fn prove(&self, state: StateName, prefix: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
        match self.ask(state, Question::Prove { prefix: prefix.to_vec() })? {
            Answer::Nodes(nodes) => Ok(nodes),
            answer => Err(unexpected(answer)),
        }
    }

    pub fn view(
        &self,
        state: StateName,
        call: &Call,
        interrupt_after_ms: Option<u64>,
    ) -> Result<CallOutcome, ReadError> {
        let question = Question::View { call: Box::new(call.clone()), interrupt_after_ms };
        match self.ask(state, question)? {
            Answer::Outcome(outcome) => Ok(outcome.into()),
            answer => Err(unexpected(answer)),
        }
    }

    fn ask(&self, state: StateName, question: Question) -> Result<Answer, ReadError> {
        let mut answers = self.ask_all(vec![Request { state, question }])?;
        answers.pop().ok_or_else(|| ReadError::Failed("the node answered nothing".into()))
    }

    fn ask_all(&self, requests: Vec<Request>) -> Result<Vec<Answer>, ReadError> {
        let mut socket = self.take()?;
        let answers = exchange(&mut socket, &requests);
        let mut free = self.free.lock();
        match answers {
            Ok(_) => free.sockets.push(socket),
            Err(_) => free.working -= 1,
        }
        drop(free);
        self.returned.notify_one();
        answers.map_err(|error| ReadError::Failed(format!("the node does not answer: {error}")))
    }

    fn take(&self) -> Result<Frames, ReadError> {
        let mut free = self.free.lock();
        loop {
            if let Some(socket) = free.sockets.pop() {
                return Ok(socket);
            }
            if free.working == 0 {
                self.returned.notify_one(); // The next who waits must see it too.
                return Err(ReadError::Failed("the node does not answer".into()));
            }
            self.returned.wait(&mut free);
        }
    }
}

fn exchange(socket: &mut Frames, requests: &[Request]) -> std::io::Result<Vec<Answer>> {
    socket.send(&requests)?;
    socket.receive(Vec::try_from_slice)?.ok_or(std::io::ErrorKind::UnexpectedEof.into())
}

fn unexpected(answer: Answer) -> ReadError {
    match answer {
        Answer::Gone => ReadError::Gone,
        Answer::InvalidInput(reason) => ReadError::InvalidInput(reason),
        Answer::Failed(reason) => ReadError::Failed(reason),
        _ => ReadError::Failed("the node answered another question".into()),
    }
}
