// chainsig.js as its users drive it: reads a task from standard input, prints what came of it.
//
// The signer contract and all addresses of chains are given; the account signs through near-api-js.
import { readFileSync } from "node:fs";
import { Connection } from "@solana/web3.js";
import { chainAdapters, contracts, utils } from "chainsig.js";
import { Account, JsonRpcProvider, KeyPairSigner } from "near-api-js";
import { createPublicClient, http } from "viem";

const setting = JSON.parse(readFileSync(0, "utf8"));
const contract = new contracts.ChainSignatureContract({
  networkId: "testnet",
  contractId: setting.contract_id,
  fallbackRpcUrls: [setting.near_url],
});
const provider = new JsonRpcProvider({ url: setting.near_url });

const openEvm = (url) =>
  new chainAdapters.evm.EVM({ contract, publicClient: createPublicClient({ transport: http(url) }) });
const openSolana = (url) =>
  new chainAdapters.solana.Solana({ contract, solanaConnection: new Connection(url, "confirmed") });
const openBitcoin = (network, url) =>
  new chainAdapters.btc.Bitcoin({
    contract,
    network,
    btcRpcAdapter: new chainAdapters.btc.BTCRpcAdapters.Mempool(url),
  });

// Requests for signatures, by an account whose key near-api-js holds
function signAs({ account_id, secret_key }, asked) {
  const account = new Account(account_id, provider, KeyPairSigner.fromSecretKey(secret_key));
  return async (path, keyType, payloads) => {
    const signerAccount = {
      accountId: account_id,
      signAndSendTransactions: async ({ transactions }) => {
        const outcomes = await account.signAndSendTransactions({ transactions });
        asked.push(...outcomes.map((outcome) => outcome.transaction.hash));
        return outcomes;
      },
    };
    return contract.sign({ payloads, path, keyType, signerAccount });
  };
}

const { deriveChildPublicKey, deriveChildPublicKeyEd25519 } = utils.cryptography;

const tasks = {
  // Addresses and keys by the contract's view; the keys again from the root keys alone
  async derive({ pairs, ed25519_root }) {
    const root = await contract.getPublicKey();
    const nowhere = "http://127.0.0.1:9";
    const adapters = {
      evm: openEvm(nowhere),
      bitcoin_mainnet: openBitcoin("mainnet", nowhere),
      bitcoin_testnet: openBitcoin("testnet", nowhere),
      bitcoin_regtest: openBitcoin("regtest", nowhere),
      solana: openSolana(nowhere),
    };
    const derive = async ([accountId, path]) => {
      const row = {};
      for (const [name, adapter] of Object.entries(adapters)) {
        row[name] = (await adapter.deriveAddressAndPublicKey(accountId, path)).address;
      }
      row.secp256k1_key = await contract.getDerivedPublicKey({ path, predecessor: accountId });
      row.local_secp256k1_key = deriveChildPublicKey(root, accountId, path);
      row.ed25519_key = await contract.getDerivedPublicKey({ path, predecessor: accountId, IsEd25519: true });
      row.local_ed25519_key = deriveChildPublicKeyEd25519(ed25519_root, accountId, path);
      return row;
    };
    return Promise.all(pairs.map(derive));
  },

  // Two transfers that follow each other, signed in one go: one of the fee market, one legacy
  async evm({ url, path, signer, receiver, amounts }, asked) {
    const evm = openEvm(url);
    const { address: from } = await evm.deriveAddressAndPublicKey(signer.account_id, path);
    const before = await evm.getBalance(from);
    const [value, legacyValue] = amounts.map(BigInt);
    const first = await evm.prepareTransactionForSigning({ from, to: receiver, value });
    const nonce = first.transaction.nonce + 1;
    const legacy = { from, to: receiver, value: legacyValue, nonce };
    const second = await evm.prepareTransactionForSigningLegacy(legacy);
    const payloads = [...first.hashesToSign, ...second.hashesToSign];
    const [one, two] = await signAs(signer, asked)(path, "Ecdsa", payloads);
    const sent = [
      evm.finalizeTransactionSigning({ transaction: first.transaction, rsvSignatures: [one] }),
      evm.finalizeTransactionSigningLegacy({ transaction: second.transaction, rsvSignatures: [two] }),
    ];
    const hashes = [];
    for (const raw of sent) hashes.push((await evm.broadcastTx(raw)).hash);
    return { address: from, hashes, balance_before: String(before.balance) };
  },

  // A message (EIP-191) and typed data (EIP-712)
  async evm_messages({ url, path, signer, message, typed_data }, asked) {
    const evm = openEvm(url);
    const { address } = await evm.deriveAddressAndPublicKey(signer.account_id, path);
    const prepared = await Promise.all([
      evm.prepareMessageForSigning(message),
      evm.prepareTypedDataForSigning(typed_data),
    ]);
    const payloads = prepared.map((one) => one.hashToSign);
    const [first, second] = await signAs(signer, asked)(path, "Ecdsa", payloads);
    return {
      address,
      message: evm.finalizeMessageSigning({ rsvSignature: first }),
      typed_data: evm.finalizeTypedDataSigning({ rsvSignature: second }),
    };
  },

  async solana({ url, path, signer, receiver, amounts }, asked) {
    const solana = openSolana(url);
    const { address } = await solana.deriveAddressAndPublicKey(signer.account_id, path);
    const before = await solana.getBalance(address);
    const request = { from: address, to: receiver, amount: BigInt(amounts[0]) };
    const { transaction, hashesToSign } = await solana.prepareTransactionForSigning(request);
    const [signature] = await signAs(signer, asked)(path, "Eddsa", hashesToSign);
    const raw = solana.finalizeTransactionSigning({
      transaction: transaction.transaction,
      rsvSignatures: signature,
      senderAddress: address,
    });
    const { hash } = await solana.broadcastTx(raw);
    return { address, hashes: [hash], balance_before: String(before.balance) };
  },

  async bitcoin({ url, path, signer, receiver, amounts }, asked) {
    const bitcoin = openBitcoin("regtest", url);
    const { address, publicKey } = await bitcoin.deriveAddressAndPublicKey(signer.account_id, path);
    const before = await bitcoin.getBalance(address);
    const { transaction, hashesToSign } = await bitcoin.prepareTransactionForSigning({
      publicKey,
      from: address,
      to: receiver,
      value: amounts[0],
    });
    const signatures = await signAs(signer, asked)(path, "Ecdsa", hashesToSign);
    const raw = bitcoin.finalizeTransactionSigning({ transaction, rsvSignatures: signatures });
    const { hash } = await bitcoin.broadcastTx(raw);
    return { address, hashes: [hash], balance_before: String(before.balance), payloads: hashesToSign.length };
  },

  // What a user is told when the contract refuses
  async refusals({ path, signer, cases }, asked) {
    const messages = [];
    for (const { key_type, payload } of cases) {
      try {
        await signAs(signer, asked)(path, key_type, [payload]);
        messages.push("");
      } catch (error) {
        messages.push(error.message);
      }
    }
    return messages;
  },
};

const asked = [];
const result = await tasks[setting.task](setting, asked);
console.log(JSON.stringify({ result, asked }));
process.exit(0);
