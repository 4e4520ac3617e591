// The scenario of README.md with near-api-js (npm): reads its setting from standard input, prints what it saw.
import { readFileSync } from "node:fs"
import { Account, JsonRpcProvider, KeyPair, KeyPairSigner, actions, nearToYocto } from "near-api-js"

const setting = JSON.parse(readFileSync(0, "utf8"))
const { user_id, token_id, receiver_id } = setting
const provider = new JsonRpcProvider({ url: setting.url })
const open = (accountId, secret) => new Account(accountId, provider, KeyPairSigner.fromSecretKey(secret))
const owner = open(setting.owner.account_id, setting.owner.secret_key)
const relayer = open(setting.relayer.account_id, setting.relayer.secret_key)
const userKey = KeyPair.fromRandom("ed25519")
const tokenKey = KeyPair.fromRandom("ed25519")
const user = open(user_id, userKey.toString())
const token = open(token_id, tokenKey.toString())
const yocto = async (accountId) => (await new Account(accountId, provider).getState()).balance.total
const view = (method, args = {}) => provider.callFunction({ contractId: token_id, method, args })
const ftBalance = (account_id) => view("ft_balance_of", { account_id })

async function errorOf(action) {
  try {
    await action()
  } catch (error) {
    return { name: error.constructor.name, type: error.type ?? error.name, message: error.message }
  }
  return null
}

const seen = {}

// Accounts
for (const [accountId, key] of [[user_id, userKey], [token_id, tokenKey]]) {
  await owner.createAccount({
    newAccountId: accountId,
    publicKey: key.getPublicKey().toString(),
    nearToTransfer: nearToYocto("20"),
  })
}
seen.exists = (await user.getState()) !== null
seen.created_balance = String(await yocto(user_id))

// Keys
const extra = KeyPair.fromRandom("ed25519").getPublicKey().toString()
const call = KeyPair.fromRandom("ed25519").getPublicKey().toString()
await user.addFullAccessKey(extra)
await user.addFunctionCallAccessKey({
  publicKey: call,
  contractId: token_id,
  methodNames: ["ft_transfer"],
  allowance: nearToYocto("1"),
})
seen.keys_after_add = (await user.getAccessKeyList()).keys.length
seen.call_key = (await user.getAccessKey(call)).permission.FunctionCall
await user.deleteKey(extra)
await user.deleteKey(call)
seen.keys_after_delete = (await user.getAccessKeyList()).keys.length

// A contract: deploy, call, view
const code = readFileSync(setting.code_path)
await token.deployContract(code)
await token.callFunction({
  contractId: token_id,
  methodName: "new_default",
  args: { owner_id: owner.accountId, total_supply: "1000000" },
})
seen.code_size = Buffer.from((await token.getContractCode()).code_base64, "base64").length
seen.token_name = (await view("ft_metadata")).name

// Tokens
for (const account_id of [user_id, receiver_id]) {
  await owner.callFunction({
    contractId: token_id,
    methodName: "storage_deposit",
    args: { account_id },
    deposit: nearToYocto("0.1"),
  })
}
const transferTokens = (account, receiver, amount) =>
  account.callFunction({
    contractId: token_id,
    methodName: "ft_transfer",
    args: { receiver_id: receiver, amount },
    deposit: 1n,
  })
await transferTokens(owner, user_id, "500")
await transferTokens(user, receiver_id, "200")
seen.user_tokens = await ftBalance(user_id)
seen.receiver_tokens = await ftBalance(receiver_id)

// Money
const before = BigInt(await yocto(receiver_id))
const sent = await owner.transfer({ receiverId: receiver_id, amount: nearToYocto("1.5") })
seen.sent_status = sent.final_execution_status
seen.received = (BigInt(await yocto(receiver_id)) - before).toString()

// A meta-transaction: the user signs, the relayer pays
const userBefore = BigInt(await yocto(user_id))
const { signedDelegate } = await user.createSignedMetaTransaction({
  receiverId: token_id,
  blockHeightTtl: 100,
  actions: [actions.functionCall("ft_transfer", { receiver_id, amount: "50" }, 30n * 10n ** 12n, 1n)],
})
const relayed = await relayer.relayMetaTransaction(signedDelegate)
seen.relayed_by = relayed.transaction.signer_id
seen.tokens_after_relay = await ftBalance(receiver_id)
seen.user_paid = (userBefore - BigInt(await yocto(user_id))).toString()

// Errors
const missing = `missing.${owner.accountId}`
seen.errors = {
  missing_account: await errorOf(() => new Account(missing, provider).getState()),
  missing_receiver: await errorOf(() => owner.transfer({ receiverId: missing, amount: 1n })),
  panic: await errorOf(() => transferTokens(owner, user_id, "999999999")),
  view_panic: await errorOf(() => view("no_such_method")),
  no_contract: await errorOf(() => provider.callFunction({ contractId: user_id, method: "x", args: {} })),
  too_poor: await errorOf(() => user.transfer({ receiverId: receiver_id, amount: nearToYocto("1000000") })),
}
console.log(JSON.stringify(seen, (_, value) => (typeof value === "bigint" ? value.toString() : value)))
