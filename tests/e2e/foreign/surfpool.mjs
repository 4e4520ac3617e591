// Surfpool in this process until its standard input ends. Prints where it answers.
import { createRequire } from "node:module";

const { Surfnet } = createRequire(import.meta.url)("@solana/surfpool-linux-x64-gnu");
const network = Surfnet.startWithConfig({ offline: true });
console.log(JSON.stringify({ url: network.rpcUrl, socket: network.wsUrl }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
