// A counter that asks other counters, and that signs for other chains.
import { TGAS, answer, assert, call, near, storage } from "near"

const STEP_MAX = 100

// Storage, JSON, an event, and a case that fails.
export function increment({ by = 1 }) {
  assert(Number.isInteger(by) && by >= 0, "by must be a whole number, 0 or more")
  assert(by <= STEP_MAX, "by is at most 100")
  const count = storage.read("count", 0) + by
  storage.write("count", count)
  near.event("counter", "1.0.0", "increment", [{ by, count }])
  return count
}

export function get() {
  return storage.read("count", 0)
}

// A call of another contract, and a callback that adds what it answers.
export function add_from({ other }) {
  assert(typeof other === "string", "other must be text")
  return call(other, "get").callback("on_answer")
}

export function on_answer() {
  const answered = answer()
  assert(answered !== undefined, "the other contract did not answer")
  const count = storage.read("count", 0) + answered
  storage.write("count", count)
  return count
}

// A signature for another chain, under a key of this contract's own. Whoever may ask for it has what is there.
export function sign({ signer, path, payload }) {
  const isOwn = near.predecessorAccount() === near.currentAccount()
  assert(isOwn, "only the contract's own account may ask for a signature")
  const request = { path, payload_v2: { Ecdsa: payload }, domain_id: 0 }
  return call(signer, "sign", { request }, { deposit: 1n, gas: 50n * TGAS })
}
