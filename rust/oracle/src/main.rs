//! An oracle for differential tests: NEAR's own types behind lines of JSON.
//!
//! Each line on standard input is a question, each line on standard output its answer, in order:
//!
//! * `{"op": "decode", "type": T, "bytes": B}`: borsh of a named type; answers with the bytes that encoding it
//!   again gives, its hash where it has one, and its JSON where NEAR's RPC shows it.
//! * `{"op": "reprint", "type": T, "json": J}`: parse an RPC answer or error as that type and print it again.
//! * `{"op": "text", "type": T, "text": S}`: parse the text form of a key, signature, hash or account id.
//! * `{"op": "derive", "what": W, …}`: derived ids, Merkle trees, outcome hashes, trie keys.
//!
//! An answer is `{"ok": …}` or `{"error": text}`, with NEAR's own words. Bytes are base64.

mod derive;
mod reprint;
mod wire;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};
use std::io::{BufRead, Write};

pub type Answer = Result<Value, String>;

pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A field of a question that must be there.
pub fn get<'a>(question: &'a Value, name: &str) -> Result<&'a Value, String> {
    question.get(name).ok_or_else(|| format!("the question has no {name}"))
}

pub fn get_text<'a>(question: &'a Value, name: &str) -> Result<&'a str, String> {
    get(question, name)?.as_str().ok_or_else(|| format!("{name} is no text"))
}

pub fn get_number(question: &Value, name: &str) -> Result<u64, String> {
    get(question, name)?.as_u64().ok_or_else(|| format!("{name} is no number"))
}

pub fn get_bytes(question: &Value, name: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(get_text(question, name)?).map_err(|error| error.to_string())
}

pub fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

fn answer(line: &str) -> Answer {
    let question: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match get_text(&question, "op")? {
        "decode" => wire::decode(get_text(&question, "type")?, &get_bytes(&question, "bytes")?),
        "reprint" => reprint::reprint(get_text(&question, "type")?, get(&question, "json")?),
        "text" => derive::parse_text(get_text(&question, "type")?, get_text(&question, "text")?),
        "derive" => derive::derive(get_text(&question, "what")?, &question),
        other => Err(format!("no operation {other}")),
    }
}

fn main() {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is readable");
        let answer = match answer(&line) {
            Ok(value) => json!({"ok": value}),
            Err(error) => json!({"error": error}),
        };
        writeln!(output, "{answer}").and_then(|()| output.flush()).expect("standard output is writable");
    }
}
