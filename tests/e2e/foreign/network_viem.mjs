// An EVM chain of a running network as users of viem drive it: reads a task from standard input, prints what it read.
import { readFileSync } from "node:fs";
import {
  createPublicClient,
  createWalletClient,
  getContract,
  http,
  parseEventLogs,
  parseGwei,
  webSocket,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import * as chains from "viem/chains";
import { estimateL1Fee } from "viem/op-stack";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket; // Node.js 20 has none of its own.

const { url, chain_id, secret, receiver, abi, bytecode } = JSON.parse(readFileSync(0, "utf8"));
const chain = [chains.mainnet, chains.base, chains.arbitrum].find((one) => one.id === chain_id);
const account = privateKeyToAccount(secret);
const client = createPublicClient({ chain, transport: http(url) });
const wallet = createWalletClient({ account, chain, transport: http(url) });
const socket = createPublicClient({ chain, transport: webSocket(url.replace("http", "ws")) });
const wait = (hash) => client.waitForTransactionReceipt({ hash, pollingInterval: 50, timeout: 30_000 });

// What is told of new blocks, from before the first transaction
let tell;
const told = new Promise((resolve) => (tell = resolve));
const { unsubscribe } = await socket.transport.subscribe({
  params: ["newHeads"],
  onData: ({ result }) => tell(BigInt(result.number)),
});

const before = await client.getBalance({ address: account.address });
const types = [];
let spent = 0n;
const count = async (hash) => {
  const [receipt, transaction] = [await wait(hash), await client.getTransaction({ hash })];
  types.push(transaction.type);
  spent += receipt.gasUsed * receipt.effectiveGasPrice + transaction.value;
  return receipt;
};
const prices = { gasPrice: (await client.getGasPrice()) + parseGwei("1") };
await count(await wallet.sendTransaction({ to: receiver, value: 1n, type: "legacy", ...prices }));
const accessList = [{ address: receiver, storageKeys: [] }];
await count(await wallet.sendTransaction({ to: receiver, value: 2n, accessList, type: "eip2930", ...prices }));
await count(await wallet.sendTransaction({ to: receiver, value: 3n, data: "0x68656c6c6f" }));
const authorization = await wallet.signAuthorization({ contractAddress: receiver, executor: "self" });
await count(await wallet.sendTransaction({ to: receiver, value: 4n, authorizationList: [authorization] }));

const { contractAddress } = await count(await wallet.deployContract({ abi, bytecode }));
const token = getContract({ address: contractAddress, abi, client: { public: client, wallet } });
const wrapped = await count(await token.write.deposit({ value: 10n ** 15n }));
const [event] = parseEventLogs({ abi, logs: wrapped.logs, eventName: "Deposit" });
const found = await client.getContractEvents({ address: contractAddress, abi, eventName: "Deposit", fromBlock: 0n });
let refusal = "";
try {
  await client.simulateContract({ ...token, functionName: "withdraw", args: [10n ** 18n], account });
} catch (error) {
  refusal = error.name;
}
const block = await client.getBlock({ includeTransactions: true });
const message = "Good day";
const signature = await wallet.signMessage({ message });
const parentFee =
  chain.id === chains.base.id
    ? await estimateL1Fee(client, { account, to: receiver, value: 1n, maxFeePerGas: parseGwei("2") })
    : 0n;
const result = {
  chain_id: await client.getChainId(),
  types,
  spent: String(spent),
  paid: String(before - (await client.getBalance({ address: account.address }))),
  nonce: await client.getTransactionCount({ address: account.address }),
  code: await client.getCode({ address: account.address }),
  contract: contractAddress,
  held: String(await token.read.balanceOf([account.address])),
  event: [event.args.dst, String(event.args.wad)],
  found: found.length,
  refusal,
  last_of_block: block.transactions.at(-1).from,
  has_fees: (await client.estimateFeesPerGas()).maxFeePerGas > 0n,
  is_told: (await told) > 0n,
  is_signed: await client.verifyMessage({ address: account.address, message, signature }),
  parent_fee: String(parentFee),
};
await unsubscribe();
console.log(JSON.stringify(result));
process.exit(0);
