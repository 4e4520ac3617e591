//! The table as it is expected.

use std::collections::BTreeSet;

/// What the honest participants do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reaction {
    /// The run ends, and at least one honest participant has proof against the liar.
    Named,
    /// The run ends and names nobody.
    Aborted,
    /// The result is not usable: the protocol that uses it ends before anything leaves.
    FailsLater,
    /// What should have come does not: the caller's time-out ends the run.
    Waits,
    /// The message is not taken; the run goes on to a right result.
    Refused,
    /// A right result.
    NoEffect,
    /// There is no such attack on this message.
    Impossible,
}

impl Reaction {
    pub(super) fn letter(self) -> char {
        match self {
            Self::Named => 'N',
            Self::Aborted => 'A',
            Self::FailsLater => 'L',
            Self::Waits => 'W',
            Self::Refused => 'R',
            Self::NoEffect => 'O',
            Self::Impossible => 'x',
        }
    }
}

pub(super) struct Row {
    pub(super) protocol: String,
    pub(super) name: String,
    /// The reactions that were seen, by attack.
    pub(super) cells: Vec<BTreeSet<Reaction>>,
}

impl Row {
    /// As a line of the table.
    pub(super) fn line(&self) -> String {
        let cell =
            |cell: &BTreeSet<Reaction>| cell.iter().map(|reaction| reaction.letter()).collect::<String>();
        let letters: Vec<_> = self.cells.iter().map(cell).collect();
        format!("    ({:?}, {:?}, {:?}),", family(&self.protocol), self.name, letters.join(" "))
    }
}

/// The row of what one participant gets to know otherwise than the rest.
pub(super) const WHOLE_RUN: &str = "another view";

/// The groups behave alike: one row for all.
pub(super) fn family(protocol: &str) -> &str {
    ["secp256k1", "ed25519", "bls12381"]
        .iter()
        .find_map(|curve| protocol.strip_suffix(curve)?.strip_suffix(", "))
        .unwrap_or(protocol)
}

pub(super) fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    EXPECTED.iter().copied()
}

/// Whether the table has the row, no cell of it is empty, and what was seen is what it says.
///
/// What the library does can depend on its randomness: there, what was seen must be among what the table says.
pub(super) fn expects(row: &Row, is_exact: bool) -> bool {
    let Some((_, _, letters)) =
        rows().find(|(protocol, name, _)| (*protocol, *name) == (family(&row.protocol), row.name.as_str()))
    else {
        return false;
    };
    let cells: Vec<_> = letters.split(' ').collect();
    cells.len() == row.cells.len()
        && cells.iter().zip(&row.cells).all(|(cell, seen)| {
            let is_known = seen.iter().all(|reaction| cell.contains(reaction.letter()));
            !cell.is_empty() && is_known && (!is_exact || cell.chars().count() == seen.len())
        })
}

/// The tables as they stand on the page.
pub(super) fn render() -> [String; 2] {
    let is_view = |name: &str| name == WHOLE_RUN;
    let attacks = [
        "wrong value",
        "two faces",
        "flipped bit",
        "truncated",
        "oversized",
        "duplicated",
        "replayed",
        "late",
        "outsider",
        "borrowed",
        "wrong round",
        "silent",
    ];
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = |first: &[&str], columns: &[&str]| {
        let cells: Vec<_> = first.iter().chain(columns).map(|cell| (*cell).to_owned()).collect();
        line(&cells) + &line(&vec!["---".to_owned(); cells.len()])
    };
    let body = |shows: &dyn Fn(&str) -> bool, has_round: bool| {
        rows().filter(|(_, name, _)| shows(name)).fold(String::new(), |text, (protocol, name, letters)| {
            let mut cells = vec![protocol.to_owned()];
            cells.extend(has_round.then(|| name.to_owned()));
            cells.extend(letters.split(' ').map(|cell| {
                let words: Vec<_> = cell.chars().map(word).collect();
                words.join(" or ")
            }));
            text + &line(&cells)
        })
    };
    [
        head(&["protocol", "message"], &attacks) + &body(&|name| !is_view(name), true),
        head(&["protocol"], &VIEWS.map(|view| view.strip_prefix("another ").unwrap_or(view)))
            + &body(&is_view, false),
    ]
}

fn word(letter: char) -> String {
    match letter {
        'N' => "**names**",
        'A' => "ends",
        'L' => "later",
        'W' => "waits",
        'R' => "refuses",
        'O' => "nothing",
        _ => "–",
    }
    .to_owned()
}

/// Inputs of which one participant may have another than the rest.
pub(super) const VIEWS: [&str; 10] = [
    "another epoch's share",
    "another set",
    "another key event",
    "another threshold",
    "another message",
    "another tweak",
    "another entropy",
    "another coordinator",
    "another app id",
    "another app key",
];

/// Protocol, message, and the reactions to each attack in its order: the letters of [`Reaction::letter`].
const EXPECTED: &[(&str, &str, &str)] = &[
    ("key generation", "session randomness", "A A A N W R A O R A W W"),
    ("key generation", "agreement on it", "A A A N W R A O R O W W"),
    ("key generation", "hash of the commitments", "N N N N W R N O R N W W"),
    ("key generation", "commitments", "N N N N W R N O R N W W"),
    ("key generation", "proof of knowledge", "N N N N W R N O R N W W"),
    ("key generation", "agreement on them", "A A A N W R A O R O W W"),
    ("key generation", "shares", "N N N N W R N O R N W W"),
    ("key generation", "confirmation", "A A A N W R A O R O W W"),
    ("key generation", "another view", "x W A A x x x x x x"),
    ("reshare", "session randomness", "A A A N W R A O R A W W"),
    ("reshare", "agreement on it", "A A A N W R A O R O W W"),
    ("reshare", "hash of the commitments", "N N N N W R N O R N W W"),
    ("reshare", "commitments", "N N N N W R N O R N W W"),
    ("reshare", "proof of knowledge", "N N N N W R N O R N W W"),
    ("reshare", "agreement on them", "A A A N W R A O R O W W"),
    ("reshare", "shares", "N N N N W R N O R N W W"),
    ("reshare", "confirmation", "A A A N W R A O R O W W"),
    ("reshare", "another view", "N W A A x x x x x x"),
    ("Cait-Sith triple", "commitments", "A A A A W R A O R A W W"),
    ("Cait-Sith triple", "agreement on them", "A A A A W R A O R O W W"),
    ("Cait-Sith triple", "polynomials and proofs", "A A A A W R A O R A W W"),
    ("Cait-Sith triple", "shares", "A A A A W R A O R A W W"),
    ("Cait-Sith triple", "product and its proof", "A A A A W R A O R A W W"),
    ("Cait-Sith triple", "product's constant and its proof", "A A A A W R A O R A W W"),
    ("Cait-Sith triple", "product's shares", "A A A A W R A O R A W W"),
    ("Cait-Sith triple, transfers, lower number", "base transfer, sender", "A x A A W R A O R x W W"),
    ("Cait-Sith triple, transfers, lower number", "extension, matrix", "AO x AO A W R A O R x W W"),
    ("Cait-Sith triple, transfers, lower number", "extension, check", "A x A A W R A O R x W W"),
    ("Cait-Sith triple, transfers, lower number", "multiplication, check", "A x A A W R A O R x W W"),
    ("Cait-Sith triple, transfers, higher number", "base transfer, choice", "AW x AW A W R AW O R x W W"),
    ("Cait-Sith triple, transfers, higher number", "extension, seed", "AW x AW A W R AW O R x W W"),
    (
        "Cait-Sith triple, transfers, higher number",
        "multiplication, corrections",
        "AO x AO A W R A O R x W W",
    ),
    ("Cait-Sith presigning", "nonce shares", "A A A A W R A O R A W W"),
    ("Cait-Sith presigning", "masked shares", "A A A A W R A O R A W W"),
    ("Cait-Sith presigning", "another view", "A A x x x x x x x x"),
    ("Cait-Sith signing", "signature shares", "A A A A W R A O R A W W"),
    ("Cait-Sith signing", "another view", "O x x x A A A x x x"),
    ("robust presigning", "shares", "A A AL N W R A O R A W W"),
    ("robust presigning", "shares of a", "L L AL N W R A O R A W W"),
    ("robust presigning", "shares of zero", "L L AL N W R A O R A W W"),
    ("robust presigning", "nonce points", "A A NA N W R A O R A W W"),
    ("robust presigning", "confirmation", "A A A N W R A O R O W W"),
    ("robust presigning", "another view", "A W x x x x x x x x"),
    ("robust signing", "view of the request", "A A A N W R A O R O W W"),
    ("robust signing", "signature shares", "A x A N W O A O R A W W"),
    ("robust signing", "another view", "x A x x A A A A x x"),
    ("FROST presigning", "nonce commitments", "L L NL N W R L O R L W W"),
    ("FROST signing", "nonce commitments", "A A NA N W R A O R A W W"),
    ("FROST signing", "signature shares", "N N NA N W O A O R N W W"),
    ("FROST signing", "view of the request", "A A NA N W O A O R N W W"),
    ("FROST signing", "another view", "N W x x A A x x x x"),
    ("FROST signing from stock", "signature shares", "N N NA N W R A O R N W W"),
    ("FROST signing from stock", "view of the request", "A A NA N W R A O R N W W"),
    ("FROST signing from stock", "another view", "N x x x A A x x x x"),
    ("key derivation, plain", "contributions", "N x NA N W R A O R N W W"),
    ("key derivation, plain", "another view", "N A x x x x x W A A"),
    ("key derivation, verifiable", "contributions", "N x NA N W R A O R N W W"),
    ("key derivation, verifiable", "another view", "N A x x x x x W A A"),
];
