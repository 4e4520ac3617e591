// npm near-sandbox, unmodified: start, look, dump, stop. Prints one JSON object with what it saw.
import { Sandbox, GenesisAccount } from "near-sandbox";

async function rpc(url, method, params) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: "t", method, params }),
  });
  return (await response.json()).result;
}

const added = new GenesisAccount(
  "carl.test.near",
  "ed25519:5BGSaf6YjVm7565VzWQHNxoyEjwr3jUpRJSGjREvU9dB",
  "ed25519:3tgdk2wPraJzT4nsTuf86UX41xgPNk3MHnq8epARMdBNs29AFEztAuaQ7iHddDfXG9F2RzV1XNQYgJyAyoW51UBB",
  5n * 10n ** 24n,
);
const started = performance.now();
const sandbox = await Sandbox.start({
  config: { additionalAccounts: [added], additionalGenesis: { epoch_length: 250 } },
});
const ready = performance.now() - started;
try {
  const view = (account_id) =>
    rpc(sandbox.rpcUrl, "query", { request_type: "view_account", finality: "final", account_id });
  const status = await rpc(sandbox.rpcUrl, "status", []);
  const dump = await sandbox.dump();
  console.log(
    JSON.stringify({
      ready_ms: ready,
      chain_id: status.chain_id,
      protocol_version: status.protocol_version,
      root: await view("sandbox"),
      added: await view("carl.test.near"),
      dumped: dump.genesis.records.filter((row) => row.Account).map((row) => row.Account.account_id),
      epoch_length: dump.genesis.epoch_length,
      validator: dump.validatorKey.account_id,
    }),
  );
} finally {
  await sandbox.tearDown();
}
