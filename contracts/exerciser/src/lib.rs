//! A contract that makes whatever host calls its input names, for tests of the VM and of gas.
//!
//! It is plain Rust without an SDK or allocator, so a call costs what the host charges and little else.
//! `run` reads a program from the input:
//!
//! ```text
//! program   = u32 size, that many bytes of data, then steps to the end
//! step      = u8 number of a host function or of an extra below, then its arguments
//! argument  = u8 kind, u64 value (little-endian)
//!             0 the value itself      1 address of data[value]
//!             2 result of step value  3 address of scratch[value]
//! ```
//!
//! Scratch is 1 MiB of zeroed memory for what the host writes. `resume` and `again` do the same as `run`,
//! under names that callbacks use; a callback's data is read as promise result 0 by a step of the program.
#![no_std]

use core::arch::wasm32;

#[panic_handler]
fn stop(_: &core::panic::PanicInfo) -> ! {
    wasm32::unreachable()
}

const INPUT_REGISTER: u64 = u64::MAX - 1;
const STEPS_MAX: usize = 4096;
const SCRATCH_SIZE: usize = 1 << 20;
const PAGE_SIZE: usize = 1 << 16;

static mut SCRATCH: [u8; SCRATCH_SIZE] = [0; SCRATCH_SIZE];
static mut RESULTS: [u64; STEPS_MAX] = [0; STEPS_MAX];

/// What a host function returns, as one word.
trait IntoWord {
    fn into_word(self) -> u64;
}
impl IntoWord for () {
    fn into_word(self) -> u64 {
        0
    }
}
impl IntoWord for u32 {
    fn into_word(self) -> u64 {
        u64::from(self)
    }
}
impl IntoWord for u64 {
    fn into_word(self) -> u64 {
        self
    }
}

/// The program, and how far it has been read.
struct Program {
    data: usize,
    at: usize,
    end: usize,
}

impl Program {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.end - self.at < N {
            wasm32::unreachable()
        }
        let mut bytes = [0; N];
        for byte in &mut bytes {
            // SAFETY: `at` is below `end`, the end of what the host copied into this contract's memory.
            *byte = unsafe { *(self.at as *const u8) };
            self.at += 1;
        }
        bytes
    }

    fn argument(&mut self) -> u64 {
        let [kind] = self.take();
        let value = u64::from_le_bytes(self.take());
        match kind {
            0 => value,
            1 => self.data as u64 + value,
            // SAFETY: contracts have one thread.
            2 => unsafe { (*(&raw const RESULTS))[value as usize] },
            3 => (&raw const SCRATCH) as u64 + value,
            _ => wasm32::unreachable(),
        }
    }
}

macro_rules! host_functions {
    ($(
        $(#[$meta:meta])*
        $number:literal $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;
    )*) => {
        #[link(wasm_import_module = "env")]
        extern "C" {
            $($(#[$meta])* fn $name($($argument: $type),*) $(-> $result)?;)*
        }

        fn call(number: u8, program: &mut Program) -> u64 {
            match number {
                $($(#[$meta])* $number => {
                    $(let $argument = program.argument() as $type;)*
                    // SAFETY: the host checks every address against this contract's memory.
                    unsafe { $name($($argument),*) }.into_word()
                })*
                _ => extra(number, program),
            }
        }
    };
}

// The numbers are this contract's own; tests read them from here.
host_functions! {
    0 read_register(register: u64, at: u64);
    1 register_len(register: u64) -> u64;
    2 write_register(register: u64, size: u64, at: u64);
    3 current_account_id(register: u64);
    4 chain_id(register: u64);
    5 signer_account_id(register: u64);
    6 signer_account_pk(register: u64);
    7 predecessor_account_id(register: u64);
    8 input(register: u64);
    9 block_index() -> u64;
    10 block_timestamp() -> u64;
    11 epoch_height() -> u64;
    12 storage_usage() -> u64;
    13 account_balance(at: u64);
    14 account_locked_balance(at: u64);
    15 attached_deposit(at: u64);
    16 prepaid_gas() -> u64;
    17 used_gas() -> u64;
    18 random_seed(register: u64);
    19 sha256(size: u64, at: u64, register: u64);
    20 keccak256(size: u64, at: u64, register: u64);
    21 keccak512(size: u64, at: u64, register: u64);
    #[cfg(feature = "protocol_87")]
    22 sha3_256(size: u64, at: u64, register: u64);
    #[cfg(feature = "protocol_87")]
    23 sha3_384(size: u64, at: u64, register: u64);
    #[cfg(feature = "protocol_87")]
    24 sha3_512(size: u64, at: u64, register: u64);
    25 ed25519_verify(
        signature_size: u64, signature: u64, size: u64, at: u64, key_size: u64, key: u64
    ) -> u64;
    26 p256_verify(signature_size: u64, signature: u64, size: u64, at: u64, key_size: u64, key: u64) -> u64;
    #[cfg(feature = "protocol_87")]
    27 ml_dsa_verify(signature_size: u64, signature: u64, size: u64, at: u64, key_size: u64, key: u64) -> u64;
    28 ripemd160(size: u64, at: u64, register: u64);
    29 ecrecover(
        hash_size: u64, hash: u64, size: u64, at: u64, v: u64, malleability: u64, register: u64
    ) -> u64;
    30 value_return(size: u64, at: u64);
    31 panic();
    32 panic_utf8(size: u64, at: u64);
    33 log_utf8(size: u64, at: u64);
    34 log_utf16(size: u64, at: u64);
    35 abort(message: u32, file: u32, line: u32, column: u32);
    36 promise_create(
        account_size: u64, account: u64, method_size: u64, method: u64, size: u64, at: u64,
        amount: u64, gas: u64
    ) -> u64;
    37 promise_then(
        promise: u64, account_size: u64, account: u64, method_size: u64, method: u64, size: u64,
        at: u64, amount: u64, gas: u64
    ) -> u64;
    38 promise_and(promises: u64, count: u64) -> u64;
    39 promise_batch_create(size: u64, at: u64) -> u64;
    40 promise_batch_then(promise: u64, size: u64, at: u64) -> u64;
    41 promise_set_refund_to(promise: u64, size: u64, at: u64);
    42 promise_batch_action_state_init(promise: u64, size: u64, at: u64, amount: u64) -> u64;
    43 promise_batch_action_state_init_by_account_id(promise: u64, size: u64, at: u64, amount: u64) -> u64;
    44 set_state_init_data_entry(promise: u64, action: u64, key_size: u64, key: u64, size: u64, at: u64);
    45 current_contract_code(register: u64) -> u64;
    46 refund_to_account_id(register: u64);
    #[cfg(feature = "protocol_88")]
    47 universal_state_init_to_account_id(size: u64, at: u64, register: u64) -> u64;
    #[cfg(feature = "protocol_88")]
    48 promise_batch_action_universal_state_init(promise: u64, size: u64, at: u64, amount: u64);
    49 promise_batch_action_create_account(promise: u64);
    50 promise_batch_action_deploy_contract(promise: u64, size: u64, at: u64);
    51 promise_batch_action_deploy_global_contract(promise: u64, size: u64, at: u64);
    52 promise_batch_action_deploy_global_contract_by_account_id(promise: u64, size: u64, at: u64);
    53 promise_batch_action_use_global_contract(promise: u64, size: u64, at: u64);
    54 promise_batch_action_use_global_contract_by_account_id(promise: u64, size: u64, at: u64);
    55 promise_batch_action_function_call(
        promise: u64, method_size: u64, method: u64, size: u64, at: u64, amount: u64, gas: u64
    );
    56 promise_batch_action_function_call_weight(
        promise: u64, method_size: u64, method: u64, size: u64, at: u64, amount: u64, gas: u64,
        weight: u64
    );
    57 promise_batch_action_transfer(promise: u64, amount: u64);
    58 promise_batch_action_stake(promise: u64, amount: u64, size: u64, at: u64);
    59 promise_batch_action_add_key_with_full_access(promise: u64, size: u64, at: u64, nonce: u64);
    60 promise_batch_action_add_key_with_function_call(
        promise: u64, size: u64, at: u64, nonce: u64, allowance: u64, receiver_size: u64,
        receiver: u64, methods_size: u64, methods: u64
    );
    61 promise_batch_action_delete_key(promise: u64, size: u64, at: u64);
    62 promise_batch_action_delete_account(promise: u64, size: u64, at: u64);
    63 promise_batch_action_transfer_to_gas_key(promise: u64, size: u64, at: u64, amount: u64);
    64 promise_batch_action_add_gas_key_with_full_access(promise: u64, size: u64, at: u64, nonces: u64);
    65 promise_batch_action_add_gas_key_with_function_call(
        promise: u64, size: u64, at: u64, nonces: u64, allowance: u64, receiver_size: u64,
        receiver: u64, methods_size: u64, methods: u64
    );
    66 promise_yield_create(
        method_size: u64, method: u64, size: u64, at: u64, gas: u64, weight: u64, register: u64
    ) -> u64;
    67 promise_yield_create_with_id(
        method_size: u64, method: u64, size: u64, at: u64, amount: u64, gas: u64, weight: u64,
        id_size: u64, id: u64
    ) -> u64;
    68 promise_yield_resume(id_size: u64, id: u64, size: u64, at: u64) -> u32;
    69 promise_yield_resume_with_yield_id(id_size: u64, id: u64, size: u64, at: u64) -> u32;
    70 promise_results_count() -> u64;
    71 promise_result(index: u64, register: u64) -> u64;
    72 promise_return(promise: u64);
    73 storage_write(key_size: u64, key: u64, size: u64, at: u64, register: u64) -> u64;
    74 storage_read(key_size: u64, key: u64, register: u64) -> u64;
    75 storage_remove(key_size: u64, key: u64, register: u64) -> u64;
    76 storage_has_key(key_size: u64, key: u64) -> u64;
    77 storage_iter_prefix(size: u64, at: u64) -> u64;
    78 storage_iter_range(start_size: u64, start: u64, end_size: u64, end: u64) -> u64;
    79 storage_iter_next(iterator: u64, key_register: u64, value_register: u64) -> u64;
    80 validator_stake(size: u64, at: u64, stake: u64);
    81 validator_total_stake(stake: u64);
    82 alt_bn128_g1_multiexp(size: u64, at: u64, register: u64);
    83 alt_bn128_g1_sum(size: u64, at: u64, register: u64);
    84 alt_bn128_pairing_check(size: u64, at: u64) -> u64;
    85 bls12381_p1_sum(size: u64, at: u64, register: u64) -> u64;
    86 bls12381_p2_sum(size: u64, at: u64, register: u64) -> u64;
    87 bls12381_g1_multiexp(size: u64, at: u64, register: u64) -> u64;
    88 bls12381_g2_multiexp(size: u64, at: u64, register: u64) -> u64;
    89 bls12381_map_fp_to_g1(size: u64, at: u64, register: u64) -> u64;
    90 bls12381_map_fp2_to_g2(size: u64, at: u64, register: u64) -> u64;
    91 bls12381_pairing_check(size: u64, at: u64) -> u64;
    92 bls12381_p1_decompress(size: u64, at: u64, register: u64) -> u64;
    93 bls12381_p2_decompress(size: u64, at: u64, register: u64) -> u64;
}

/// What a contract can do without the host: use up gas, memory or stack, copy bytes, or trap.
fn extra(number: u8, program: &mut Program) -> u64 {
    match number {
        200 => wasm32::unreachable(),
        201 => spin(program.argument()),
        202 => descend(program.argument()),
        203 => wasm32::memory_grow::<0>(program.argument() as usize) as u64,
        204 => {
            let (from, to, size) = (program.argument(), program.argument(), program.argument());
            for offset in 0..size {
                // SAFETY: an address outside memory traps, which is what a test that gives one wants.
                unsafe { *((to + offset) as *mut u8) = *((from + offset) as *const u8) };
            }
            size
        }
        205 => {
            let (at, value) = (program.argument(), program.argument());
            for (offset, byte) in value.to_le_bytes().into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { *((at as usize + offset) as *mut u8) = byte };
            }
            value
        }
        _ => wasm32::unreachable(),
    }
}

/// Loop that many times; `u64::MAX` is for ever.
fn spin(times: u64) -> u64 {
    let mut count = 0;
    while count < times {
        count = core::hint::black_box(count) + 1;
    }
    count
}

/// Call itself that deep.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    match core::hint::black_box(depth) {
        0 => 0,
        depth => core::hint::black_box(descend(depth - 1)) + 1,
    }
}

/// Read the program from the input and perform it.
fn perform() {
    let page_count = wasm32::memory_size::<0>();
    // SAFETY: the host checks addresses; the grown memory belongs to nobody else.
    unsafe {
        input(INPUT_REGISTER);
        let size = register_len(INPUT_REGISTER) as usize;
        if size < 4 || wasm32::memory_grow::<0>(size.div_ceil(PAGE_SIZE)) == usize::MAX {
            wasm32::unreachable()
        }
        let at = page_count * PAGE_SIZE;
        read_register(INPUT_REGISTER, at as u64);
        let mut program = Program { data: at + 4, at, end: at + size };
        let data_size = u32::from_le_bytes(program.take()) as usize;
        if program.end - program.at < data_size {
            wasm32::unreachable()
        }
        program.at += data_size;
        let mut step = 0;
        while program.at < program.end {
            let [number] = program.take();
            let result = call(number, &mut program);
            (*(&raw mut RESULTS))[step] = result;
            step += 1;
        }
    }
}

/// Perform the program in the input.
#[no_mangle]
pub extern "C" fn run() {
    perform();
}

/// The same, as the callback of a yield.
#[no_mangle]
pub extern "C" fn resume() {
    perform();
}

/// The same, under another name for keys that allow one method only.
#[no_mangle]
pub extern "C" fn again() {
    perform();
}

/// Does nothing: what a call costs at least.
#[no_mangle]
pub extern "C" fn nothing() {}
