// near-kit's own launcher, unmodified: start, transact, patch, fast-forward, dump, restore, restart, stop.
import { Near } from "near-kit";
import { Sandbox } from "near-kit/sandbox";

async function height() {
  const response = await fetch(`${sandbox.rpcUrl}/status`);
  return (await response.json()).sync_info.latest_block_height;
}

const started = performance.now();
const sandbox = await Sandbox.start();
const ready = performance.now() - started;
const seen = { ready_ms: ready, root: sandbox.rootAccount.id, network: sandbox.networkId };
try {
  const near = new Near({ network: sandbox });
  const total = async (id) => (await near.getBalance(id)).toString();
  await near
    .transaction(sandbox.rootAccount.id)
    .createAccount(`carl.${sandbox.rootAccount.id}`)
    .transfer(`carl.${sandbox.rootAccount.id}`, "5 NEAR")
    .send();
  seen.created = await total(`carl.${sandbox.rootAccount.id}`);
  const snapshot = await sandbox.dumpState();
  seen.dumped = snapshot.records.some((row) => row.Account?.account_id === `carl.${sandbox.rootAccount.id}`);
  await near.transaction(sandbox.rootAccount.id).transfer(`carl.${sandbox.rootAccount.id}`, "1 NEAR").send();
  seen.sent = await total(`carl.${sandbox.rootAccount.id}`);
  const before = await height();
  await sandbox.fastForward(100);
  seen.skipped = (await height()) - before;
  await sandbox.restoreState(snapshot);
  seen.restored = await total(`carl.${sandbox.rootAccount.id}`);
  await sandbox.restart();
  seen.height_after_restart = await height();
  seen.gone = !(await near.accountExists(`carl.${sandbox.rootAccount.id}`));
  await sandbox.restart(snapshot);
  seen.back = await total(`carl.${sandbox.rootAccount.id}`);
  console.log(JSON.stringify(seen));
} finally {
  await sandbox.stop();
}
