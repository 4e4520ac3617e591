// What near-kit's integration suite does, file by file, shortly: one function for each of its files, with its name.
// Starts near-kit's own sandbox (the program at NEAR_SANDBOX_BIN_PATH); prints what each function saw.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import {
  MlDsa65KeyPair,
  Near,
  RotatingKeyStore,
  deriveAccountId,
  generateKey,
  generateNonce,
  isDeterministicAccountId,
  parsePublicKey,
  verifyDeterministicAccountId,
  verifyNep413Signature,
} from "near-kit"
import { EMPTY_CODE_HASH, Sandbox } from "near-kit/sandbox"

const setting = JSON.parse(readFileSync(0, "utf8"))
const code = readFileSync(setting.code_path)
const codeHash = createHash("sha256").update(code).digest()
const fullAccess = { type: "fullAccess" }
const optimistic = { waitUntil: "EXECUTED_OPTIMISTIC" }
const storage = { gas: "30 Tgas", attachedDeposit: "0.1 NEAR" }
const oneYocto = { gas: "30 Tgas", attachedDeposit: "1 yocto" }

const sandbox = await Sandbox.start()
const root = sandbox.rootAccount.id
const keyStore = { [root]: sandbox.rootAccount.secretKey }
// Views of near-kit look at final blocks.
const connect = (keys) =>
  new Near({ network: sandbox, keyStore: keys, defaultSignerId: root, defaultWaitUntil: "FINAL" })
const near = connect(keyStore)
const yocto = async (id, client = near) => BigInt((await client.rpc.getAccount(id)).amount)
const succeeded = (result) => "SuccessValue" in result.status

let created = 0
/** A new account with its key, and a client that signs for it. */
async function create(key = generateKey(), amount = "20 NEAR") {
  const id = `user-${(created += 1)}.${root}`
  await near
    .transaction(root)
    .createAccount(id)
    .transfer(id, amount)
    .addKey(key.publicKey.toString(), fullAccess)
    .send()
  return {
    id,
    key,
    near: connect({ [id]: key.secretKey }),
    as: () => connect({ [id]: key.secretKey }).transaction(id),
  }
}

async function errorOf(action) {
  try {
    await (typeof action === "function" ? action() : action)
  } catch (error) {
    return error.constructor.name
  }
  return null
}

async function createToken() {
  const token = await create()
  await token
    .as()
    .deployContract(token.id, code)
    .functionCall(token.id, "new_default", { owner_id: root, total_supply: "1000" })
    .send()
  return token
}
const token = await createToken()
const balanceOf = (id) => near.view(token.id, "ft_balance_of", { account_id: id })
const register = (id) => near.call(token.id, "storage_deposit", { account_id: id }, storage)

const files = {
  async actions() {
    const user = await create()
    const heir = await create()
    const key = generateKey().publicKey.toString()
    await user
      .as()
      .addKey(key, { type: "functionCall", receiverId: token.id, methodNames: ["ft_transfer"] })
      .send()
    const keys = (await near.getAccessKeys(user.id)).keys.length
    await user.as().deleteKey(user.id, key).send()
    const validator = await create(generateKey(), "1000000 NEAR")
    await validator.as().stake(validator.key.publicKey.toString(), "900000 NEAR").send()
    const publisher = await create(generateKey(), "100 NEAR")
    await publisher.as().publishContract(code, { identifiedBy: "account" }).send()
    await publisher.as().publishContract(code, { identifiedBy: "hash" }).send()
    const published = await near.getGlobalContract({ accountId: publisher.id })
    await heir.as().deployFromPublished({ accountId: publisher.id }).send()
    const before = await yocto(heir.id)
    await user.as().deleteAccount({ beneficiary: heir.id }).send()
    const inherited = (await yocto(heir.id)) > before
    await near.call(heir.id, "new_default", { owner_id: root, total_supply: "9" }, { gas: "30 Tgas" })
    return {
      keys,
      staked: (await near.rpc.getAccount(validator.id)).locked,
      deleted: await errorOf(near.getAccount(user.id)),
      inherited,
      published: Buffer.from(published.code).equals(code),
      by_hash: await near.globalContractExists({ codeHash }),
      missing: await errorOf(near.getGlobalContract({ accountId: `nobody.${root}` })),
      own_code: Buffer.from((await near.getContractCode(token.id)).code).equals(code),
      deployed_from_published: await near.view(heir.id, "ft_total_supply"),
    }
  },

  async "concurrent-transactions"() {
    const user = await create()
    const before = await yocto(user.id)
    const amounts = [...Array(10).keys()].map((at) =>
      near
        .transaction(root)
        .transfer(user.id, `${at + 1} NEAR`)
        .send()
    )
    const fail = user.as().transfer(root, "1000000 NEAR").send()
    const [failed, ...results] = await Promise.allSettled([fail, ...amounts])
    return {
      succeeded: results.filter((result) => result.status === "fulfilled" && succeeded(result.value)).length,
      different_nonces: new Set(results.map((result) => result.value.transaction.nonce)).size,
      failed: failed.status,
      received: ((await yocto(user.id)) - before).toString(),
    }
  },

  async "contract-interface"() {
    const contract = near.contract(token.id)
    const user = await create()
    await contract.call.storage_deposit({ account_id: user.id }, storage)
    await contract.call.ft_transfer({ receiver_id: user.id, amount: "5" }, oneYocto)
    return {
      seen: await contract.view.ft_balance_of({ account_id: user.id }),
      missing_argument: await errorOf(contract.call.ft_transfer({ amount: "5" }, oneYocto)),
      missing_method: await errorOf(contract.view.no_such_method({})),
    }
  },

  async "contract-panics"() {
    const send = (options) =>
      near
        .transaction(root)
        .functionCall(token.id, "ft_transfer", { receiver_id: root, amount: "1" }, oneYocto)
        .send(options)
    const error = await send(optimistic).then(
      () => null,
      (error) => error
    )
    const user = await create()
    const good = await near
      .transaction(root)
      .functionCall(token.id, "storage_deposit", { account_id: user.id }, storage)
      .send(optimistic)
    return {
      name: error.constructor.name,
      panic: error.panic,
      method: error.methodName,
      final: await errorOf(send({ waitUntil: "FINAL" })),
      not_awaited: await errorOf(send({ waitUntil: "NONE" })),
      other_action: await errorOf(near.transaction(root).createAccount(user.id).send(optimistic)),
      good: good.final_execution_status,
    }
  },

  async "delegate-v2"() {
    const [user, receiver] = [await create(), await create()]
    const before = await yocto(receiver.id)
    const { signedDelegateAction } = await user
      .as()
      .transfer(receiver.id, "1 NEAR")
      .delegateV2({ payloadFormat: "bytes" })
    const result = await near.transaction(root).signedDelegateActionV2(signedDelegateAction).send()
    return { succeeded: succeeded(result), received: ((await yocto(receiver.id)) - before).toString() }
  },

  async "error-handling"() {
    const closed = new Near({
      network: { rpcUrl: "http://127.0.0.1:1", networkId: "localnet" },
      retryConfig: { maxRetries: 0 },
    })
    return {
      account: await errorOf(near.getAccount(`nobody.${root}`)),
      key: await errorOf(near.rpc.getAccessKey(root, generateKey().publicKey.toString())),
      known: (await near.rpc.getAccount(root)).code_hash === EMPTY_CODE_HASH,
      method: await errorOf(near.view(token.id, "no_such_method")),
      no_contract: await errorOf(near.view(root, "any")),
      network: await errorOf(closed.getStatus()),
    }
  },

  async "gas-key-actions"() {
    const user = await create()
    const [full, limited] = [generateKey(), generateKey()].map((key) => key.publicKey.toString())
    const funded = await user
      .as()
      .addKey(full, { type: "gasKeyFullAccess", numNonces: 4 })
      .transferToGasKey(full, "2 NEAR")
      .withdrawFromGasKey(full, "1 NEAR")
      .send()
    const restricted = await user
      .as()
      .addKey(limited, {
        type: "gasKeyFunctionCall",
        numNonces: 2,
        receiverId: token.id,
        methodNames: ["ft_transfer"],
      })
      .send()
    const { permission } = await near.rpc.getAccessKey(user.id, full)
    return { funded: succeeded(funded), restricted: succeeded(restricted), permission }
  },

  async "gas-key-nonces"() {
    const user = await create()
    const key = generateKey().publicKey.toString()
    await user.as().addKey(key, { type: "gasKeyFullAccess", numNonces: 3 }).send()
    const { nonces } = await near.rpc.getGasKeyNonces(user.id, key)
    const other = user.key.publicKey.toString()
    return { lanes: nonces.length, other_key: await errorOf(near.rpc.getGasKeyNonces(user.id, other)) }
  },

  async "gas-key-signing"() {
    const [user, receiver] = [await create(), await create()]
    const key = generateKey()
    await user
      .as()
      .addKey(key.publicKey.toString(), { type: "gasKeyFullAccess", numNonces: 4 })
      .transferToGasKey(key.publicKey.toString(), "5 NEAR")
      .send()
    const before = (await near.rpc.getGasKeyNonces(user.id, key.publicKey.toString())).nonces
    const balance = await yocto(receiver.id)
    const result = await user.as().signWith(key.secretKey).useGasKey(1).transfer(receiver.id, "1 NEAR").send()
    const after = (await near.rpc.getGasKeyNonces(user.id, key.publicKey.toString())).nonces
    const strict = await user.as().strictNonceMode().transfer(receiver.id, "1 NEAR").send()
    return {
      succeeded: succeeded(result),
      used: after.map((nonce, lane) => nonce - before[lane]),
      strict: succeeded(strict),
      received: ((await yocto(receiver.id)) - balance).toString(),
    }
  },

  async "guestbook-comprehensive"() {
    const guests = [await create(), await create()]
    for (const guest of guests) await register(guest.id)
    for (const amount of ["3", "4"]) {
      await near.call(
        token.id,
        "ft_transfer",
        { receiver_id: guests[0].id, amount, memo: 'näher → "näher" 🚀' },
        oneYocto
      )
    }
    await guests[0].near.call(
      token.id,
      "ft_transfer",
      { receiver_id: guests[1].id, amount: "2" },
      { ...oneYocto, signerId: guests[0].id }
    )
    return {
      balances: await Promise.all(guests.map((guest) => balanceOf(guest.id))),
      type: typeof (await near.view(token.id, "ft_metadata")).decimals,
      without_deposit: await errorOf(
        near.call(token.id, "ft_transfer", { receiver_id: guests[0].id, amount: "1" }, { gas: "30 Tgas" })
      ),
    }
  },

  async "ml-dsa"() {
    const user = await create(MlDsa65KeyPair.fromRandom())
    const receiver = await create()
    const before = await yocto(receiver.id)
    const result = await user.as().transfer(receiver.id, "2 NEAR").send()
    const text = user.key.publicKey.toString()
    return {
      succeeded: succeeded(result),
      received: ((await yocto(receiver.id)) - before).toString(),
      round_trip: Buffer.from(parsePublicKey(text).data).equals(Buffer.from(user.key.publicKey.data)),
    }
  },

  async "near-client"() {
    const user = await create()
    const status = await near.getStatus()
    const [balance, exists] = await near.batch(near.getBalance(user.id), near.accountExists(user.id))
    const state = await near.getAccount(user.id)
    const sent = await near.send(user.id, "2.5 NEAR")
    const sums = []
    await near.transaction(root).transfer(user.id, "1 NEAR").transfer(user.id, "2 NEAR").send()
    for (const options of [undefined, { finality: "final" }, {}]) {
      sums.push((await near.getAccessKeys(user.id, options)).keys.length)
    }
    return {
      balance,
      exists,
      sums,
      missing: await near.accountExists(`nobody.${root}`),
      no_keys: (await near.getAccessKeys(`nobody.${root}`)).keys.length,
      has_contract: state.hasContract,
      chain_id: status.chain_id ?? status.chainId,
      sent: succeeded(sent),
      received: ((await yocto(user.id)) - 20n * 10n ** 24n).toString(),
      too_poor: await errorOf(user.as().transfer(root, "1000000 NEAR").send()),
    }
  },

  async "nep413-rpc-validation"() {
    const user = await create()
    const request = { message: "hello", recipient: "app.near", nonce: generateNonce() }
    const verify = (key, id) => verifyNep413Signature(key.signNep413Message(id, request), request, { near })
    const limited = generateKey()
    await user.as().addKey(limited.publicKey.toString(), { type: "functionCall", receiverId: token.id }).send()
    return {
      own_key: await verify(user.key, user.id),
      other_key: await verify(generateKey(), user.id),
      limited_key: await verify(limited, user.id),
      missing_account: await verify(user.key, `nobody.${root}`),
    }
  },

  async "nep616-deterministic-accounts"() {
    const publisher = await create(generateKey(), "100 NEAR")
    await publisher.as().publishContract(code, { identifiedBy: "account" }).send()
    const reference = { code: { accountId: publisher.id } }
    const data = new Map([[new TextEncoder().encode("key"), new TextEncoder().encode("value")]])
    const id = deriveAccountId(reference)
    const init = (more) =>
      near
        .transaction(root)
        .stateInit({ ...reference, ...more, deposit: "5 NEAR" })
        .send()
    const results = [await init({}), await init({ data }), await init({})]
    const values = (await near.viewState(deriveAccountId({ ...reference, data }))).values
    await near.call(id, "new_default", { owner_id: root, total_supply: "7" }, { gas: "30 Tgas" })
    return {
      is_deterministic: isDeterministicAccountId(id) && verifyDeterministicAccountId(id, reference),
      succeeded: results.map(succeeded),
      value: Buffer.from(values[0].value, "base64").toString(),
      called: await near.view(id, "ft_total_supply"),
    }
  },

  async "rotating-keystore"() {
    const user = await create()
    const keys = [user.key, generateKey(), generateKey()]
    for (const key of keys.slice(1)) await user.as().addKey(key.publicKey.toString(), fullAccess).send()
    const rotating = connect(new RotatingKeyStore({ [user.id]: keys.map((key) => key.secretKey) }))
    const sent = await Promise.all(
      [...Array(9)].map(() => rotating.transaction(user.id).transfer(root, "0.1 NEAR").send())
    )
    const used = sent.map((result) => result.transaction.public_key)
    return { succeeded: sent.filter(succeeded).length, keys: new Set(used).size }
  },

  async "rpc-error-handler-paths"() {
    const call = (method, parameters) => errorOf(near.rpc.call(method, parameters))
    const zeros = "11111111111111111111111111111111"
    return {
      block: await errorOf(near.rpc.getAccount(root, { blockId: 999999999 })),
      account: await errorOf(near.rpc.getAccount("invalid-account-@#$%")),
      chunk: await call("chunk", { chunk_id: zeros }),
      epoch: await call("validators", { epoch_id: (await near.rpc.getAccount(token.id)).code_hash }),
      receipt: await call("EXPERIMENTAL_receipt", { receipt_id: zeros }),
      parameters: await call("query", { request_type: "view_account" }),
      method: await call("no_such_method", {}),
      code: await errorOf(
        (await create())
          .as()
          .deployContract(token.id, new Uint8Array([0, 1, 2, 3]))
          .send()
      ),
    }
  },

  async "rpc-error-scenarios"() {
    const user = await create()
    const transfer = (amount) => user.as().transfer(root, amount).send()
    const gas = { gas: "1 Tgas", attachedDeposit: "1 yocto" }
    return {
      balance: await errorOf(transfer("1000 NEAR")),
      receiver: await errorOf(near.send(`nobody.${root}`, "1 NEAR")),
      gas: await errorOf(near.call(token.id, "ft_transfer", { receiver_id: root, amount: "1" }, gas)),
      arguments: await errorOf(near.view(token.id, "ft_balance_of", {})),
      not_deployed: await errorOf(near.view(user.id, "any")),
    }
  },

  async "rpc-view-methods"() {
    const status = await near.rpc.getStatus()
    const latest = await near.rpc.getBlock()
    const same = await near.rpc.getBlock({ blockId: latest.header.height })
    const result = await near.rpc.viewFunction(token.id, "ft_total_supply", {})
    return {
      chain_id: status.chain_id,
      protocol_version: status.protocol_version,
      same_block: same.header.hash === latest.header.hash,
      ahead: (await near.rpc.getBlock({ finality: "optimistic" })).header.height >= latest.header.height,
      gas_price: BigInt((await near.rpc.getGasPrice()).gas_price) > 0n,
      supply: Buffer.from(result.result).toString(),
    }
  },

  async sandbox() {
    const user = await create()
    const snapshot = await sandbox.dumpState()
    const account = {
      amount: (100n * 10n ** 24n).toString(),
      locked: "0",
      code_hash: EMPTY_CODE_HASH,
      storage_usage: 182,
    }
    await sandbox.patchState([{ Account: { account_id: user.id, account } }])
    const patched = await yocto(user.id)
    const dumped = (await sandbox.dumpState()).records.find((row) => row.Account?.account_id === user.id)
    await sandbox.restoreState(snapshot)
    const before = (await near.rpc.getStatus()).sync_info.latest_block_height
    await sandbox.fastForward(50)
    return {
      patched: patched.toString(),
      dumped: dumped.Account.account.amount,
      restored: (await yocto(user.id)).toString(),
      skipped: (await near.rpc.getStatus()).sync_info.latest_block_height - before >= 50,
      backwards: (await errorOf(sandbox.fastForward(0))) !== null,
    }
  },

  async "send-transaction"() {
    const user = await create()
    const seen = {}
    for (const waitUntil of ["NONE", "INCLUDED", "EXECUTED_OPTIMISTIC", "FINAL"]) {
      const result = await near.transaction(root).transfer(user.id, "1 NEAR").send({ waitUntil })
      seen[waitUntil] = [result.final_execution_status, "transaction_outcome" in result]
    }
    return { ...seen, received: ((await yocto(user.id)) - 20n * 10n ** 24n).toString() }
  },

  async "transaction-signing"() {
    const user = await create()
    const transaction = await near.transaction(root).transfer(user.id, "1 NEAR").sign()
    const hash = transaction.getHash()
    const sent = await transaction.send()
    const changed = await near.transaction(root).transfer(user.id, "1 NEAR").sign()
    const first = changed.getHash()
    await changed.transfer(user.id, "1 NEAR").sign()
    const other = await user.near
      .transaction(root)
      .transfer(user.id, "1 NEAR")
      .signWith(sandbox.rootAccount.secretKey)
      .send()
    return {
      same: sent.transaction.hash === hash,
      signed_anew: changed.getHash() !== first,
      other_key: succeeded(other),
    }
  },

  async "tx-status"() {
    const user = await create()
    const sent = await near.transaction(root).transfer(user.id, "1 NEAR").send(optimistic)
    const status = (waitUntil) => near.getTransactionStatus(sent.transaction.hash, root, waitUntil)
    const seen = [sent, await status(), await status("NONE"), await status("FINAL")]
    return {
      statuses: seen.map((result) => result.final_execution_status),
      receipts: seen.slice(1).map((result) => result.receipts.length > 0),
      missing: (await errorOf(near.getTransactionStatus(EMPTY_CODE_HASH, root, "NONE"))) !== null,
    }
  },

  async "view-state-rpc"() {
    const user = await create()
    const encode = (text) => Buffer.from(text).toString("base64")
    const rows = [...Array(5).keys()].map((at) => ({
      Data: { account_id: user.id, data_key: encode(`key-${at}`), value: encode(`${at}`) },
    }))
    await sandbox.patchState(rows)
    const first = await near.viewState(user.id, { limit: 2 })
    const second = await near.viewState(user.id, { limit: 2, afterKey: first.last_key })
    const all = []
    for await (const item of near.viewStateAll(user.id, { limit: 2 }))
      all.push(Buffer.from(item.key, "base64").toString())
    const sent = await near.transaction(root).transfer(user.id, "1 NEAR").send()
    const effects = await near.rpc.blockEffects({ blockId: sent.receipts_outcome[0].block_hash })
    return {
      pages: [first, second].map((page) => page.values.length),
      all,
      chain_id: (await near.rpc.genesisConfig()).chain_id,
      touched: effects.changes.some((change) => change.account_id === user.id),
      windows: await near.rpc.maintenanceWindows(root),
    }
  },
}

const seen = {}
for (const [name, run] of Object.entries(files)) {
  const started = performance.now()
  try {
    seen[name] = await run()
  } catch (error) {
    seen[name] = { error: `${error.constructor.name}: ${error.message}`, stack: error.stack }
  }
  if (process.env.SHOW_TIMES) console.error(name, Math.round(performance.now() - started))
}
await sandbox.stop()
console.log(JSON.stringify(seen))
