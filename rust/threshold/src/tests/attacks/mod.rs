//! Attack × protocol × round: every message of every protocol is attacked in every way, and what comes of it is the
//! table of docs/reference/attacks.md. A cell that is missing there, or that is not what happens, fails.

mod cases;
mod liar;
mod network;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use cases::{cases, Case, Round, Verdict};
use liar::{Attack, Liar, ATTACKS, FLIPS};
use network::{simulate, Nobody, Outcome};
use table::{Reaction, Row, VIEWS};

use crate::protocol::ParticipantId;

type Recorded = BTreeMap<(ParticipantId, usize), Vec<u8>>;

/// No key share, no whole key, and nothing secret that a run makes, is on the wire, whoever it is for.
fn assert_nothing_leaks(case: &Case, outcome: &Outcome, what: &str) {
    let made = outcome.results.values().flat_map(|bytes| (case.secrets_of)(bytes));
    for secret in case.inputs.iter().cloned().chain(made) {
        let reversed: Vec<_> = secret.iter().rev().copied().collect();
        for wire in &outcome.sent {
            let shows = |secret: &[u8]| wire.data.windows(secret.len()).any(|window| window == secret);
            assert!(!shows(&secret) && !shows(&reversed), "{what}: a secret is on the wire");
        }
    }
}

/// What the honest participants did.
fn judge(case: &Case, outcome: &Outcome, what: &str) -> Reaction {
    assert_nothing_leaks(case, outcome, what);
    let honest: Vec<_> = case.ids.iter().filter(|id| **id != case.liar).collect();
    let failures: Vec<_> = honest.iter().filter_map(|id| outcome.failures.get(id)).collect();
    for culprit in failures.iter().filter_map(|failure| failure.culprit) {
        assert_eq!(culprit, case.liar, "{what}: an innocent is blamed");
    }
    let mut results = outcome.results.clone();
    let is_complete = honest.iter().all(|id| results.contains_key(id));
    if !is_complete {
        // What some got nevertheless must be right. The liar's own result is its own affair.
        results.remove(&case.liar);
    }
    let verdict = (case.check)(&results);
    if failures.iter().any(|failure| failure.culprit.is_some()) {
        Reaction::Named
    } else if !failures.is_empty() {
        Reaction::Aborted
    } else if !is_complete {
        Reaction::Waits
    } else if verdict == Verdict::FailsLater {
        Reaction::FailsLater
    } else if outcome.refused.iter().any(|(id, _)| *id != case.liar) {
        Reaction::Refused
    } else {
        Reaction::NoEffect
    }
}

/// What the liar sends in another run: for replays.
fn record(case: &Case) -> Recorded {
    let sent = simulate((case.start)(2), &mut Nobody).sent.into_iter();
    sent.filter(|wire| wire.from == case.liar).map(|wire| ((wire.to, wire.index), wire.data)).collect()
}

fn attack(case: &Case, round: &Round, attack: Attack, recorded: &Recorded) -> BTreeSet<Reaction> {
    let variants: Vec<_> = match attack {
        Attack::FlippedBit if case.is_seeded() => (0..FLIPS).collect(),
        // The library's runs are long: two bits of them.
        Attack::FlippedBit => vec![0, FLIPS - 1],
        _ => vec![0],
    };
    let react = |variant| {
        let mut liar = Liar {
            case,
            round,
            attack,
            variant,
            recorded,
            held: vec![],
            borrowed: None,
            victims: BTreeSet::new(),
        };
        let outcome = simulate((case.start)(1), &mut liar);
        let what = format!("{}, {}, {attack:?}", case.name, round.name);
        if liar.is_possible() {
            judge(case, &outcome, &what)
        } else {
            Reaction::Impossible
        }
    };
    variants.into_iter().map(react).collect()
}

/// Told the truth all end well, and each message that a liar could change is in a row of the table.
fn check_coverage(case: &Case) {
    let outcome = simulate((case.start)(1), &mut Nobody);
    assert!(
        outcome.failures.is_empty() && outcome.refused.is_empty(),
        "{}: {:?}",
        case.name,
        outcome.failures
    );
    assert!(case.ids.iter().eq(outcome.results.keys()), "{}: all end", case.name);
    assert_eq!((case.check)(&outcome.results), Verdict::Right);
    assert_nothing_leaks(case, &outcome, case.name);
    for wire in outcome.sent.iter().filter(|wire| wire.from == case.liar) {
        let is_walked = case.rounds.iter().any(|round| (round.matches)(wire));
        assert!(is_walked || (case.is_like_another)(wire), "{}: {wire:?} is in no row", case.name);
    }
}

fn walk(case: &Case) -> Vec<Row> {
    check_coverage(case);
    let recorded = record(case);
    let row = |round: &Round| Row {
        protocol: case.name.into(),
        name: round.name.into(),
        cells: ATTACKS.map(|kind| attack(case, round, kind, &recorded)).to_vec(),
    };
    case.rounds.iter().map(row).collect()
}

/// What another input at the liar does.
fn walk_views(case: &Case) -> Row {
    for (name, _) in &case.views {
        assert!(VIEWS.contains(name), "{name} is no column");
    }
    let cell = |name: &&str| {
        let Some((_, start)) = case.views.iter().find(|(view, _)| view == name) else {
            return BTreeSet::from([Reaction::Impossible]);
        };
        let mut runs = (case.start)(1);
        runs.insert(case.liar, start());
        BTreeSet::from([judge(case, &simulate(runs, &mut Nobody), name)])
    };
    Row { protocol: case.name.into(), name: table::WHOLE_RUN.into(), cells: VIEWS.iter().map(cell).collect() }
}

/// Walk the cases whose name begins so, and compare with the table.
fn check_cases(prefixes: &[&str]) {
    let mut unexpected = vec![];
    for case in cases().iter().filter(|case| prefixes.iter().any(|prefix| case.name.starts_with(prefix))) {
        for row in walk(case).into_iter().chain(case.has_views().then(|| walk_views(case))) {
            if !table::expects(&row, case.is_seeded()) {
                unexpected.push(row.line());
            }
        }
    }
    assert!(unexpected.is_empty(), "not as in the table:\n{}", unexpected.join("\n"));
}

#[test]
fn key_generation_and_reshare_stand_every_attack() {
    check_cases(&["key generation", "reshare"]);
}

#[test]
fn triples_stand_every_attack() {
    check_cases(&["Cait-Sith triple"]);
}

#[test]
fn signing_and_key_derivation_stand_every_attack() {
    check_cases(&["Cait-Sith presigning", "Cait-Sith signing", "robust", "FROST", "key derivation"]);
}

#[test]
fn the_table_has_a_row_for_every_round_and_no_other() {
    let mut wanted = BTreeSet::new();
    for case in cases() {
        let rounds = case.rounds.iter().map(|round| round.name);
        for name in rounds.chain(case.has_views().then_some(table::WHOLE_RUN)) {
            assert!(wanted.insert((table::family(case.name), name)) || case.name != table::family(case.name));
        }
    }
    let rows: Vec<_> = table::rows().map(|(protocol, name, _)| (protocol, name)).collect();
    assert_eq!(rows.len(), rows.iter().collect::<BTreeSet<_>>().len(), "a row is there twice");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn the_page_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/attacks.md");
    let page = std::fs::read_to_string(path).unwrap();
    for table in table::render() {
        assert!(page.contains(&table), "docs/reference/attacks.md must hold:\n\n{table}");
    }
}
