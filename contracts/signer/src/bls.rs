//! BLS12-381 by the host's functions (NEP-488): points, hashing to G1 (RFC 9380), and the two checks of
//! confidential key derivation.

use near_sdk::{env, sys};

/// A compressed point of G1 and of G2, as they travel.
pub type G1 = [u8; 48];
pub type G2 = [u8; 96];
/// The same with both coordinates, as the host computes with them.
type G1Affine = [u8; 96];
type G2Affine = [u8; 192];

const DOMAIN_SEPARATION: &[u8] = b"NEAR BLS12381G1_XMD:SHA-256_SSWU_RO_";
const REGISTER: u64 = 1;
const SUCCESS: u64 = 0;

const G1_GENERATOR: G1Affine = hex_literal(
    b"17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb\
      08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1",
);
/// The generator of G2 with y negated.
const G2_GENERATOR_NEGATED: G2Affine = hex_literal(
    b"13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e\
      024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8\
      13fa4d4a0ad8b1ce186ed5061789213d993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed\
      0d1b3cc2c7027888be51d9ef691d77bcb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa",
);
/// The field's prime, least significant limb first.
const PRIME: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];

const fn hex_literal<const SIZE: usize>(text: &[u8]) -> [u8; SIZE] {
    const fn digit(byte: u8) -> u8 {
        if byte <= b'9' {
            byte - b'0'
        } else {
            byte - b'a' + 10
        }
    }
    assert!(text.len() == 2 * SIZE);
    let mut bytes = [0; SIZE];
    let mut index = 0;
    while index < SIZE {
        bytes[index] = digit(text[2 * index]) * 16 + digit(text[2 * index + 1]);
        index += 1;
    }
    bytes
}

type HostFunction = unsafe extern "C" fn(u64, u64, u64) -> u64;

/// Calls the host; None where it calls the input no point. (near-sdk's own wrapper ignores that answer and would
/// return what another call left in the register.)
fn call<const SIZE: usize>(function: HostFunction, input: &[u8]) -> Option<[u8; SIZE]> {
    // SAFETY: the host reads the input within its length and writes into a register only.
    let status = unsafe { function(input.len() as u64, input.as_ptr() as u64, REGISTER) };
    if status != SUCCESS {
        return None;
    }
    env::read_register(REGISTER)?.try_into().ok()
}

fn decompress_g1(point: &G1) -> Option<G1Affine> {
    call(sys::bls12381_p1_decompress, point)
}

fn decompress_g2(point: &G2) -> Option<G2Affine> {
    call(sys::bls12381_p2_decompress, point)
}

/// Whether the product of the pairings is one; false also for a point outside its subgroup.
fn is_pairing_one(pairs: &[(G1Affine, G2Affine)]) -> bool {
    let input: Vec<u8> = pairs.iter().flat_map(|(left, right)| left.iter().chain(right)).copied().collect();
    env::bls12381_pairing_check(input)
}

/// Whether these bytes are a compressed point of the curve of G1.
pub fn is_g1(point: &G1) -> bool {
    decompress_g1(point).is_some()
}

/// Whether these bytes are a compressed point of G2, its subgroup included.
pub fn is_g2(point: &G2) -> bool {
    // The infinite point of G1 pairs to one with every point of the subgroup.
    let mut infinite = [0; 96];
    infinite[0] = 0x40;
    decompress_g2(point).is_some_and(|point| is_pairing_one(&[(infinite, point)]))
}

/// Whether both are the same secret times the generators: e(A1, −G2) · e(G1, A2) = 1.
pub fn is_app_key_consistent(pk1: &G1, pk2: &G2) -> bool {
    let (Some(pk1), Some(pk2)) = (decompress_g1(pk1), decompress_g2(pk2)) else {
        return false;
    };
    is_pairing_one(&[(pk1, G2_GENERATOR_NEGATED), (G1_GENERATOR, pk2)])
}

/// Whether C is the network's signature for the app, hidden for its key: e(C, −G2) · e(Y, A2) · e(H, pk) = 1.
pub fn is_output_valid(big_c: &G1, big_y: &G1, pk2: &G2, network_key: &G2, app_id: &[u8; 32]) -> bool {
    let points = (decompress_g1(big_c), decompress_g1(big_y), decompress_g2(pk2), decompress_g2(network_key));
    let (Some(big_c), Some(big_y), Some(pk2), Some(key)) = points else {
        return false;
    };
    let Some(hash) = hash_to_g1(&[network_key.as_slice(), app_id].concat()) else {
        return false;
    };
    is_pairing_one(&[(big_c, G2_GENERATOR_NEGATED), (big_y, pk2), (hash, key)])
}

/// RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_ with the network's tag.
fn hash_to_g1(message: &[u8]) -> Option<G1Affine> {
    let uniform = expand_message(message);
    let mut sum_input = Vec::with_capacity(2 * 97);
    for half in uniform.chunks(64) {
        let point: G1Affine = call(sys::bls12381_map_fp_to_g1, &reduce(half))?;
        sum_input.push(0); // The point itself, not its negative.
        sum_input.extend(point);
    }
    call(sys::bls12381_p1_sum, &sum_input)
}

/// `expand_message_xmd` with SHA-256 to 128 bytes.
fn expand_message(message: &[u8]) -> Vec<u8> {
    let mut tag = DOMAIN_SEPARATION.to_vec();
    tag.push(DOMAIN_SEPARATION.len() as u8);
    let first = env::sha256_array([&[0; 64], message, &[0, 128, 0], &tag].concat());
    let mut uniform = Vec::with_capacity(128);
    let mut block = [0; 32];
    for index in 1..=4 {
        let mixed: Vec<u8> = first.iter().zip(block).map(|(left, right)| left ^ right).collect();
        block = env::sha256_array([&mixed, [index].as_slice(), &tag].concat());
        uniform.extend(block);
    }
    uniform
}

/// Big-endian bytes modulo the prime, bit by bit: 512 doublings are cheap beside one pairing.
fn reduce(bytes: &[u8]) -> G1 {
    let mut value = [0u64; 6];
    for byte in bytes {
        for bit in (0..8).rev() {
            let mut carry = u64::from(byte >> bit & 1);
            for limb in &mut value {
                let high = *limb >> 63;
                *limb = *limb << 1 | carry;
                carry = high;
            }
            subtract_prime(&mut value);
        }
    }
    let mut reduced = [0; 48];
    for (chunk, limb) in reduced.chunks_mut(8).zip(value.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    reduced
}

/// Subtract the prime once where the value reaches it.
fn subtract_prime(value: &mut [u64; 6]) {
    if value.iter().rev().lt(PRIME.iter().rev()) {
        return;
    }
    let mut borrow = false;
    for (limb, prime) in value.iter_mut().zip(PRIME) {
        let (difference, first) = limb.overflowing_sub(prime);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *limb = difference;
        borrow = first || second;
    }
}
