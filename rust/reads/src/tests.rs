//! Both sides in one process, over real sockets.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use hither_state::Trie;
use hither_vm::Vm;

use crate::{Client, Desk, ReadError, StateName};

fn trie(value: &str) -> Trie {
    let long = vec![7; 300_000];
    let pairs: [(&[u8], Option<&[u8]>); 3] =
        [(b"ka", Some(value.as_bytes())), (b"kb", Some(&long)), (b"z", Some(b"end"))];
    Trie::new().update(&pairs)
}

fn name(block: u8, shard_index: u16) -> StateName {
    StateName { block: [block; 32], shard_index }
}

/// A desk that finds the states of block 9 when asked, and a client with so many sockets.
fn start(sockets: usize) -> (Arc<Desk>, Client, Arc<AtomicUsize>) {
    let folder = std::env::temp_dir().join(format!("hither-reads-{}", std::process::id()));
    let vm = Arc::new(Vm::new(&folder, 1, 1 << 20).expect("a VM"));
    let resolved = Arc::new(AtomicUsize::new(0));
    let count = resolved.clone();
    let resolve = move |state: &StateName| {
        count.fetch_add(1, Ordering::Relaxed);
        (state.block == [9; 32]).then(|| trie("old"))
    };
    let desk = Arc::new(Desk::new(vm, Box::new(resolve)));
    let mut streams = Vec::new();
    for _ in 0..sockets {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let desk = desk.clone();
        std::thread::spawn(move || drop(desk.serve(ours)));
        streams.push(theirs);
    }
    (desk, Client::new(streams), resolved)
}

#[test]
fn a_distant_state_answers_as_the_state_itself() {
    let (desk, client, _) = start(1);
    let near = trie("new");
    desk.publish([1; 32], vec![Trie::new(), near.clone()]);
    let state = name(1, 1);
    assert_eq!(client.root(state).unwrap(), near.root());
    for key in [b"ka".as_slice(), b"kb", b"none"] {
        assert_eq!(client.get(state, key).unwrap(), near.get(key));
    }
    assert_eq!(client.get(name(1, 0), b"ka").unwrap(), None);
    assert_eq!(client.scan(state, b"k", None, None).unwrap(), near.scan(b"k", None, None));
    assert_eq!(client.scan(state, b"", Some(b"ka"), Some(1)).unwrap(), near.scan(b"", Some(b"ka"), Some(1)));
    assert_eq!(client.prove(state, b"ka").unwrap(), near.prove(b"ka"));
}

#[test]
fn a_state_that_is_not_at_hand_is_looked_for_once() {
    let (desk, client, resolved) = start(1);
    for _ in 0..3 {
        assert_eq!(client.get(name(9, 0), b"ka").unwrap(), Some(b"old".to_vec()));
    }
    assert_eq!(resolved.load(Ordering::Relaxed), 1);
    assert!(matches!(client.get(name(8, 0), b"ka"), Err(ReadError::Gone)));
    desk.publish([1; 32], vec![trie("new")]);
    assert!(matches!(client.get(name(1, 1), b"ka"), Err(ReadError::Gone)), "there is no such shard");
    desk.forget();
    assert!(matches!(client.get(name(1, 0), b"ka"), Err(ReadError::Gone)), "the chain went back");
}

#[test]
fn what_was_read_ahead_is_not_asked_again() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (desk, _, _) = start(0);
    desk.publish([1; 32], vec![trie("new"), Trie::new()]);
    let serving = std::thread::spawn({
        let ours = ours.try_clone().unwrap();
        move || desk.serve(ours)
    });
    let client = Client::new(vec![theirs]);
    let wanted = |state, key: &[u8]| (state, key.to_vec());
    client.read_ahead(vec![wanted(name(1, 0), b"z")]);
    client.read_ahead(vec![
        wanted(name(1, 0), b"ka"),
        wanted(name(8, 0), b"ka"),
        wanted(name(1, 1), b"ka"),
        wanted(name(9, 0), b"ka"),
        wanted(name(1, 0), b"ka"),
    ]);
    ours.shutdown(std::net::Shutdown::Both).unwrap();
    serving.join().unwrap().unwrap();
    assert_eq!(client.get(name(1, 0), b"ka").unwrap(), Some(b"new".to_vec()));
    assert_eq!(client.get(name(1, 1), b"ka").unwrap(), None);
    assert_eq!(client.get(name(9, 0), b"ka").unwrap(), Some(b"old".to_vec()));
    for (state, key) in [(name(1, 0), b"z".as_slice()), (name(1, 0), b"kb"), (name(8, 0), b"ka")] {
        assert!(
            matches!(client.get(state, key), Err(ReadError::Failed(_))),
            "it is asked, and nobody is there"
        );
    }
}

#[test]
fn many_threads_share_few_sockets() {
    let (desk, client, _) = start(2);
    desk.publish([1; 32], vec![trie("new")]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(client.get(name(1, 0), b"ka").unwrap(), Some(b"new".to_vec()));
                }
            });
        }
    });
}

#[test]
fn who_asks_is_told_when_nobody_answers() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let client = Client::new(vec![theirs]);
    drop(ours);
    for _ in 0..2 {
        assert!(matches!(client.get(name(1, 0), b"ka"), Err(ReadError::Failed(_))));
    }
}

#[test]
fn a_question_that_makes_no_sense_ends_the_connection() {
    use std::io::{Read, Write};
    let (desk, _, _) = start(0);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || desk.serve(theirs));
    ours.write_all(&[5, 0, 0, 0, 1, 2, 3, 4, 5]).unwrap();
    assert!(serving.join().unwrap().is_err());
    assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0);
}
