//! No public item gives or takes a whole secret key: each that has a secret number in it is listed, with the reason.

use std::collections::BTreeSet;
use std::path::Path;

/// Words of a type, or of a name, that a secret number could hide behind.
const SUSPECTS: [&str; 6] = ["Scalar", "SigningKey", "SecretKey", "secret", "Secret", "private"];

/// File, item, and which number it has.
const LISTED: [(&str, &str, &str); 20] = [
    ("ckd.rs", "unmask", "the app's own secret, which is nobody's key in the network"),
    ("ckd.rs", "AppSecret", "the same"),
    ("derivation.rs", "tweak_scalar_secp256k1", "a public number"),
    ("derivation.rs", "tweak_scalar_ed25519", "a public number"),
    ("group.rs", "BlsScalar", "the type; its number is not public"),
    ("group.rs", "multiply", "arithmetic"),
    ("group.rs", "scalar_from_u64", "arithmetic"),
    ("group.rs", "invert", "arithmetic"),
    ("group.rs", "random_scalar", "arithmetic: a number that nobody shares"),
    ("group.rs", "scalar_from_wide", "arithmetic"),
    ("group.rs", "encode_scalar", "arithmetic"),
    ("group.rs", "decode_scalar", "arithmetic"),
    ("group.rs", "base", "arithmetic"),
    ("group.rs", "hash_to_scalar", "a public number"),
    ("group.rs", "Scalar", "the type"),
    ("keygen.rs", "secret_share", "one participant's share; in OldKey, its old one"),
    ("polynomial.rs", "x_coordinate", "a public number"),
    ("polynomial.rs", "lagrange", "a public number"),
    ("run.rs", "make_app_secret", "the app's own secret"),
    ("run.rs", "unmask_app_key", "the app's own secret"),
];

/// The declarations that others can see: `pub` ones, and what a public trait asks for.
fn declarations(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut in_trait = false;
    let lines: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    for (number, line) in lines.iter().enumerate() {
        in_trait = (in_trait || line.starts_with("pub trait")) && *line != "}";
        let line = line.trim_start();
        let is_declared =
            line.starts_with("pub ") || in_trait && (line.starts_with("fn ") || line.starts_with("type "));
        if is_declared {
            let mut whole = String::new();
            for line in &lines[number..] {
                whole.push_str(line.trim());
                whole.push(' ');
                let line = line.trim_end();
                if line.contains('{') || line.ends_with(';') || line.ends_with(',') && !whole.contains('(') {
                    break;
                }
            }
            found.push(whole.split('{').next().unwrap().trim().to_owned());
        }
    }
    found
}

/// The name that a declaration declares.
fn name(declaration: &str) -> &str {
    let words = declaration.strip_prefix("pub ").unwrap_or(declaration);
    let words = ["fn ", "struct ", "enum ", "type ", "trait ", "const ", "mod "]
        .iter()
        .find_map(|kind| words.strip_prefix(kind))
        .unwrap_or(words);
    words.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

#[test]
fn no_public_item_has_a_whole_key() {
    let mut suspicious = BTreeSet::new();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            assert_eq!(file, "tests", "walk this folder, too");
            continue;
        }
        for declaration in declarations(&std::fs::read_to_string(&path).unwrap()) {
            count += 1;
            if SUSPECTS.iter().any(|word| declaration.contains(word)) {
                suspicious.insert((file.clone(), name(&declaration).to_owned()));
            }
        }
    }
    assert!(count > 80, "the walk sees the items: {count}");
    let listed: BTreeSet<_> =
        LISTED.iter().map(|(file, name, _)| ((*file).to_owned(), (*name).to_owned())).collect();
    assert_eq!(suspicious, listed);
}

#[test]
fn the_walk_sees_a_planted_key() {
    let planted =
        "/// Gives it away.\npub fn reconstruct<G: Group>(\n    shares: &[u8],\n) -> G::Scalar {\n}\n";
    let found = declarations(planted);
    assert_eq!(name(&found[0]), "reconstruct");
    assert!(SUSPECTS.iter().any(|word| found[0].contains(word)));
    assert_eq!(declarations("pub struct Key {\n    pub secret: [u8; 32],\n}").len(), 2);
}
