// A running network: where it answers, funded accounts, and what only a development network does.

/** A request that the node refused. `code` is the name of NEAR's cause. */
export class RpcError extends Error {
  constructor(method, error) {
    const data = error.data === undefined ? error.message : error.data
    super(`${method}: ${typeof data === "string" ? data : JSON.stringify(data)}`)
    this.name = "RpcError"
    this.code = error.cause?.name ?? error.name
    this.data = error.data
  }
}

export class Network {
  #stop

  /** From the content of endpoints.json; `stop` ends what was started for it. */
  constructor(endpoints, stop = async () => {}) {
    this.endpoints = endpoints
    this.url = endpoints.near.rpc_url
    this.chainId = endpoints.near.chain_id
    this.accounts = endpoints.near.accounts.map((row) => ({
      accountId: row.account_id,
      secretKey: row.secret_key,
      publicKey: row.public_key,
      shardId: row.shard_id,
    }))
    this.signerContractId = endpoints.mpc?.contract_id ?? null
    this.#stop = stop
  }

  /** One of the funded accounts, `alice` for `alice.near`. */
  account(name) {
    const found = this.accounts.find((row) => row.accountId === name || row.accountId === `${name}.near`)
    if (found) return found
    throw new Error(`no account ${name}; there are ${this.accounts.map((row) => row.accountId).join(", ")}`)
  }

  /** The endpoint of another chain, by its CAIP-2 id, as `eip155:8453`. */
  foreign(caip2) {
    const rows = this.endpoints.foreign ?? []
    const found = rows.find((row) => row.caip2 === caip2)
    if (found) return { url: found.rpc_url, ...found }
    const known = rows.map((row) => row.caip2).join(", ")
    throw new Error(`no chain ${caip2}; ${known ? `there are ${known}` : "the network was started without other chains"}`)
  }

  /** A JSON-RPC call of our chain. */
  async call(method, params = {}) {
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: "1", method, params }),
    })
    const answer = await response.json()
    if (answer.error) throw new RpcError(method, answer.error)
    return answer.result
  }

  /** Height and time of the newest block. */
  async head() {
    const { header } = await this.call("block", { finality: "optimistic" })
    return { height: header.height, timestampNs: BigInt(header.timestamp_nanosec), hash: header.hash }
  }

  /** Remember the present of our chain; `revert` goes back to it, once. */
  async snapshot() {
    return (await this.call("hither_snapshot")).snapshot_id
  }

  async revert(snapshotId) {
    await this.call("hither_revert", { snapshot_id: snapshotId })
  }

  /** Whatever `work` does to our chain has not happened afterwards. */
  async anchor(work) {
    const snapshotId = await this.snapshot()
    try {
      return await work()
    } finally {
      await this.revert(snapshotId)
    }
  }

  /** Make blocks now. */
  async mine(count = 1) {
    await this.call("hither_mine", { count })
  }

  /** The next block is at this time or later: a Date, or nanoseconds since 1970 as a BigInt. */
  async setTime(time) {
    const ns = time instanceof Date ? BigInt(time.getTime()) * 1_000_000n : BigInt(time)
    await this.call("hither_set_time", { timestamp_nanosec: ns.toString() })
  }

  /** Let so many blocks be made, or so much time pass with a block at its end; at once either way. */
  async advance({ blocks = 0, seconds = 0 }) {
    if (blocks) await this.mine(blocks)
    if (!seconds) return
    const { timestampNs } = await this.head()
    await this.setTime(timestampNs + BigInt(Math.round(seconds * 1e9)))
    await this.mine(1)
  }

  /** `instant`, `interval` (with milliseconds) or `manual`. */
  async setBlockMode(mode, intervalMs = null) {
    await this.call("hither_set_block_mode", intervalMs === null ? { mode } : { mode, interval_ms: intervalMs })
  }

  /** Write state records, in the form of NEAR's genesis. */
  async patchState(records) {
    await this.call("sandbox_patch_state", { records })
  }

  /** End the network, if it was started by `start`. */
  async stop() {
    await this.#stop()
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }
}

/** The network whose endpoints.json has this content, as `hither up` or another process has started it. */
export function connect(endpoints) {
  return new Network(endpoints)
}
