//! The side that has the states.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use borsh::BorshDeserialize;
use hither_state::Trie;
use hither_vm::Vm;
use parking_lot::Mutex;

use crate::frames::Frames;
use crate::wire::{Answer, BlockHash, Question, Request, StateName};

/// States after the newest published blocks, and after those last asked for.
const PUBLISHED_MAX: usize = 16;
const RESOLVED_MAX: usize = 16;

/// Finds a state that is not at hand; None when it is not kept.
pub type Resolve = Box<dyn Fn(&StateName) -> Option<Trie> + Send + Sync>;

/// Answers questions about states. Shared by the threads of all sockets.
pub struct Desk {
    vm: Arc<Vm>,
    published: Mutex<VecDeque<(BlockHash, Vec<Trie>)>>,
    resolved: Mutex<VecDeque<(StateName, Trie)>>,
    resolve: Resolve,
}

impl Desk {
    pub fn new(vm: Arc<Vm>, resolve: Resolve) -> Self {
        Desk { vm, published: Mutex::default(), resolved: Mutex::default(), resolve }
    }

    /// Have the states of all shards after a block at hand: it is the newest one.
    pub fn publish(&self, block: BlockHash, tries: Vec<Trie>) {
        let mut published = self.published.lock();
        published.push_back((block, tries));
        let old = if published.len() > PUBLISHED_MAX { published.pop_front() } else { None };
        // Freeing the nodes of a state may take a while, and readers must not wait for it.
        drop(published);
        drop(old);
    }

    /// Forget everything at hand, for a chain that goes back.
    pub fn forget(&self) {
        let published = std::mem::take(&mut *self.published.lock());
        let resolved = std::mem::take(&mut *self.resolved.lock());
        drop((published, resolved));
    }

    /// Answer what comes in over a socket, one message after the other, until it is closed.
    pub fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let mut frames = Frames::new(stream);
        while let Some(requests) = frames.receive(Vec::<Request>::try_from_slice)? {
            let answers: Vec<Answer> = requests.iter().map(|request| self.answer(request)).collect();
            frames.send(&answers)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Answer {
        let answer = catch_unwind(AssertUnwindSafe(|| self.look_up(request)));
        answer.unwrap_or_else(|_| Answer::Failed("the question failed".into()))
    }

    fn look_up(&self, request: &Request) -> Answer {
        let Some(trie) = self.find(&request.state) else {
            return Answer::Gone;
        };
        match &request.question {
            Question::Root => Answer::Root(trie.root()),
            Question::Get { key } => Answer::Value(trie.get(key)),
            Question::Scan { prefix, after, limit } => {
                let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
                Answer::Pairs(trie.scan(prefix, after.as_deref(), limit))
            }
            Question::Prove { prefix } => Answer::Nodes(trie.prove(prefix)),
            Question::View { call, interrupt_after_ms } => {
                match self.vm.view(&trie, call, *interrupt_after_ms) {
                    Ok(outcome) => Answer::Outcome(outcome.into()),
                    Err(error) if error.is_invalid_input() => Answer::InvalidInput(error.to_string()),
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
        }
    }

    fn find(&self, name: &StateName) -> Option<Trie> {
        let published = self.published.lock();
        let tries = published.iter().rev().find(|(block, _)| *block == name.block);
        if let Some(trie) = tries.and_then(|(_, tries)| tries.get(usize::from(name.shard_index))) {
            return Some(trie.clone());
        }
        drop(published);
        if let Some((_, trie)) = self.resolved.lock().iter().find(|(known, _)| known == name) {
            return Some(trie.clone());
        }
        let trie = (self.resolve)(name)?;
        let mut resolved = self.resolved.lock();
        resolved.push_back((*name, trie.clone()));
        let old = if resolved.len() > RESOLVED_MAX { resolved.pop_front() } else { None };
        drop(resolved);
        drop(old);
        Some(trie)
    }
}
