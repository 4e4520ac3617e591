/** What `start` may be told. */
export interface StartOptions {
  /** Where state is kept; a temporary folder, removed by `stop`, unless given. */
  home?: string
  /** Also the signing network, Bitcoin, EVM chains and Solana; our chain alone unless true. */
  otherChains?: boolean
  /** EVM chains by name or id, with `otherChains`. */
  evm?: (string | number)[]
  /** Of a new chain: 1 to 8, three unless given. */
  shards?: number
  /** Of a new chain: 84 to 88. */
  protocolVersion?: number
  /** When blocks are made. */
  blockTime?: "instant" | "600ms" | "1s" | "manual"
  /** More arguments of `hither up`. */
  arguments?: string[]
}

export interface FundedAccount {
  accountId: string
  /** `ed25519:…`, a development key that everybody knows. */
  secretKey: string
  publicKey: string
  shardId: number
}

export interface Head {
  height: number
  timestampNs: bigint
  hash: string
}

/** The program could not be started, or ended before it was ready; the message has its own words. */
export class HitherError extends Error {}

/** A request that the node refused. */
export class RpcError extends Error {
  constructor(method: string, error: unknown)
  /** NEAR's name of the cause, as `UNKNOWN_ACCOUNT`. */
  readonly code: string | undefined
  readonly data: any
}

/** A running network. `url` is the JSON-RPC address of our chain. */
export class Network implements AsyncDisposable {
  constructor(endpoints: unknown, stop?: () => Promise<void>)
  readonly endpoints: any
  readonly url: string
  readonly chainId: string
  readonly accounts: FundedAccount[]
  /** The contract of the signing network; null when our chain runs alone. */
  readonly signerContractId: string | null
  /** A funded account by name, `alice` for `alice.near`. */
  account(name: string): FundedAccount
  /** Another chain by its CAIP-2 id. */
  foreign(caip2: string): { url: string; caip2: string; [field: string]: any }
  /** A JSON-RPC call of our chain. */
  call(method: string, params?: unknown): Promise<any>
  head(): Promise<Head>
  snapshot(): Promise<string>
  revert(snapshotId: string): Promise<void>
  /** Whatever `work` does to our chain has not happened afterwards. */
  anchor<T>(work: () => Promise<T>): Promise<T>
  mine(count?: number): Promise<void>
  setTime(time: Date | bigint): Promise<void>
  advance(by: { blocks?: number; seconds?: number }): Promise<void>
  setBlockMode(mode: "instant" | "interval" | "manual", intervalMs?: number): Promise<void>
  patchState(records: unknown[]): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Start `hither up` and wait until it is ready. It ends with this process, also when that is killed. */
export function start(options?: StartOptions): Promise<Network>

/** A network that somebody else has started, from the content of its endpoints.json. */
export function connect(endpoints: unknown): Network
