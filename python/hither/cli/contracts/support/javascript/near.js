// What a contract in JavaScript imports: `import { near, call, assert } from "near"`.
//
// An exported function is a method. It gets its JSON arguments as an object; what it returns goes out as JSON, or is
// another contract's answer if it returns a call. An error that it throws is a panic.
const host = globalThis.__host

const toText = (_, value) => (typeof value === "bigint" ? value.toString() : value)

export const TGAS = 1_000_000_000_000n

export const near = {
  currentAccount: () => host.current_account_id(),
  signerAccount: () => host.signer_account_id(),
  predecessorAccount: () => host.predecessor_account_id(),
  input: () => host.input(),
  blockHeight: () => Number(host.block_index()),
  blockTimestampNs: () => BigInt(host.block_timestamp()),
  attachedDeposit: () => BigInt(host.attached_deposit()),
  prepaidGas: () => BigInt(host.prepaid_gas()),
  usedGas: () => BigInt(host.used_gas()),
  log: (text) => host.log_utf8(String(text)),
  // NEP-297
  event: (standard, version, event, data) =>
    host.log_utf8("EVENT_JSON:" + JSON.stringify({ standard, version, event, data }, toText)),
}

// Values are kept as JSON. A key that was never written reads as `otherwise`.
export const storage = {
  read: (key, otherwise = null) => {
    const text = host.storage_read(key)
    return text === null ? otherwise : JSON.parse(text)
  },
  write: (key, value) => host.storage_write(key, JSON.stringify(value, toText)),
  remove: (key) => host.storage_remove(key),
}

class Call {
  constructor(id) {
    this.id = id
  }

  // A method of this contract that is called afterwards; it reads the answer by `answer()`.
  callback(method, args = {}, { deposit = 0n, gas = 10n * TGAS } = {}) {
    return start(near.currentAccount(), method, args, deposit, gas, this.id)
  }
}

function start(account, method, args, deposit, gas, before) {
  return new Call(host.promise(account, method, JSON.stringify(args, toText), String(deposit), String(gas), before))
}

// Call a method of another contract.
export function call(account, method, args = {}, { deposit = 0n, gas = 10n * TGAS } = {}) {
  return start(account, method, args, deposit, gas, undefined)
}

// What the call before a callback returned; undefined if it failed. For the contract itself alone.
export function answer(index = 0) {
  assert(near.predecessorAccount() === near.currentAccount(), "only this contract may call this method")
  const text = host.promise_result(index)
  return text === null ? undefined : text === "" ? null : JSON.parse(text)
}

export function assert(condition, message) {
  if (!condition) throw new Error(message)
}

// The generated start of a contract calls this with its module.
export function serve(methods) {
  globalThis.__call = (name) => {
    const text = near.input()
    let args = {}
    try {
      args = text === "" ? {} : JSON.parse(text)
    } catch (error) {
      throw new Error("the arguments must be a JSON object: " + error.message)
    }
    assert(args !== null && typeof args === "object", "the arguments must be a JSON object")
    assert(typeof methods[name] === "function", `${name} is exported and no function, so it is no method`)
    const result = methods[name](args)
    assert(!(result instanceof Promise), `${name} is async: a call ends when its method does, so nothing may be awaited`)
    if (result instanceof Call) host.promise_return(result.id)
    else if (result !== undefined) host.value_return(JSON.stringify(result, toText))
  }
}
