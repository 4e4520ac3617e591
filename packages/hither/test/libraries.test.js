// The libraries that people use already, on networks that this package starts; Node's own test runner.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { after, before, describe, test } from "node:test"

import { contracts, chainAdapters } from "chainsig.js"
import { RpcError, connect, start } from "hither"
import { Account, JsonRpcProvider, KeyPairSigner, nearToYocto } from "near-api-js"
import { Near } from "near-kit"
import { createPublicClient, createTestClient, formatEther, http, parseEther, publicActions } from "viem"

// A network that runs already, as `hither up` or `hither node run` has started it: the file that says where it is.
const file = process.env.HITHER_ENDPOINTS
const open = async (options) => (file ? connect(JSON.parse(readFileSync(file, "utf8"))) : start(options))

describe("our chain alone", () => {
  let network
  before(async () => {
    network = await open({ shards: 2, protocolVersion: 86 })
  })
  after(() => network.stop())

  test("is what was asked for", async () => {
    assert.equal((await network.call("status", [])).protocol_version, 86)
    assert.equal((await network.call("block", { finality: "final" })).chunks.length, 2)
    assert.equal(network.signerContractId, null)
    assert.throws(() => network.foreign("eip155:1"), /without other chains/)
    assert.throws(() => network.account("nobody"), /there are .*alice\.near/)
  })

  test("near-kit sends, and an anchor takes it back", async () => {
    const { accountId, secretKey } = network.account("alice")
    const near = new Near({
      network: { rpcUrl: network.url, networkId: network.chainId },
      keyStore: { [accountId]: secretKey },
      defaultSignerId: accountId,
      defaultWaitUntil: "FINAL",
    })
    const balance = async () => BigInt((await network.call("query", {
      request_type: "view_account", finality: "optimistic", account_id: "bob.near",
    })).amount)
    const before = await balance()
    await network.anchor(async () => {
      await near.transaction(accountId).transfer("bob.near", "2 NEAR").send()
      assert.equal(await balance(), before + 2n * 10n ** 24n)
    })
    assert.equal(await balance(), before)
  })

  test("near-api-js sends", async () => {
    const { accountId, secretKey } = network.account("carol")
    const provider = new JsonRpcProvider({ url: network.url })
    const carol = new Account(accountId, provider, KeyPairSigner.fromSecretKey(secretKey))
    const sent = await carol.transfer({ receiverId: "bob.near", amount: nearToYocto("1") })
    assert.equal(sent.transaction.receiver_id, "bob.near")
  })

  test("time and blocks are told what to do", async () => {
    const first = await network.head()
    await network.advance({ blocks: 5, seconds: 86_400 })
    const then = await network.head()
    assert.ok(then.height >= first.height + 6)
    assert.ok(then.timestampNs - first.timestampNs >= 86_400n * 10n ** 9n)
    await network.setTime(new Date("2100-01-01"))
    await network.mine()
    assert.ok((await network.head()).timestampNs >= 4_102_444_800n * 10n ** 9n)
    await network.setBlockMode("manual")
    const { height } = await network.head()
    await new Promise((resolve) => setTimeout(resolve, 800))
    assert.equal((await network.head()).height, height)
    await network.setBlockMode("instant")
  })

  test("state is patched", async () => {
    await network.patchState([{ Account: { account_id: "bob.near", account: {
      amount: "7000000000000000000000000", locked: "0", code_hash: "11111111111111111111111111111111", storage_usage: 182,
    } } }])
    const bob = await network.call("query", { request_type: "view_account", finality: "optimistic", account_id: "bob.near" })
    assert.equal(bob.amount, "7000000000000000000000000")
  })

  test("refusals carry NEAR's names", async () => {
    await assert.rejects(network.call("no_such_method"), { name: "RpcError", code: "METHOD_NOT_FOUND" })
    await assert.rejects(network.revert("0123456789abcdef"), RpcError)
  })
})

describe("all chains", () => {
  let network
  before(async () => {
    network = await open({ otherChains: true, evm: ["base"] })
  })
  after(() => network.stop())

  test("an account of ours sends on Base: chainsig.js asks for the signature, near-api-js signs that, viem reads", async () => {
    const transport = http(network.foreign("eip155:8453").url)
    const client = createTestClient({ mode: "anvil", transport }).extend(publicActions)
    assert.equal(await client.getChainId(), 8453)
    const contract = new contracts.ChainSignatureContract({
      networkId: "testnet",
      contractId: network.signerContractId,
      fallbackRpcUrls: [network.url],
    })
    const evm = new chainAdapters.evm.EVM({ publicClient: createPublicClient({ transport }), contract })
    const { accountId, secretKey } = network.account("alice")
    const { address: from } = await evm.deriveAddressAndPublicKey(accountId, "an npm test")
    const to = "0x00000000000000000000000000000000000a11ce"
    await client.setBalance({ address: from, value: parseEther("1") })
    const before = await client.getBalance({ address: to })
    const { transaction, hashesToSign } = await evm.prepareTransactionForSigning({ from, to, value: parseEther("0.25") })
    const account = new Account(accountId, new JsonRpcProvider({ url: network.url }), KeyPairSigner.fromSecretKey(secretKey))
    const signerAccount = {
      accountId,
      signAndSendTransactions: ({ transactions }) => account.signAndSendTransactions({ transactions }),
    }
    const rsvSignatures = await contract.sign({ payloads: hashesToSign, path: "an npm test", keyType: "Ecdsa", signerAccount })
    const { hash } = await evm.broadcastTx(evm.finalizeTransactionSigning({ transaction, rsvSignatures }))
    const receipt = await client.waitForTransactionReceipt({ hash })
    assert.equal(receipt.status, "success")
    assert.equal(receipt.from.toLowerCase(), from.toLowerCase())
    assert.equal(formatEther(await client.getBalance({ address: to }) - before), "0.25")
  })
})

test("a network that cannot start says why", async () => {
  await assert.rejects(start({ shards: 99 }), (error) => error.name === "HitherError" && /shards/.test(error.message))
})
