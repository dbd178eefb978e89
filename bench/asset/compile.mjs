// Compiles Asset.sol with the compiler and settings of our own contracts; prints the creation codes as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const solc = createRequire(join(here, "../../contracts/build.mjs"))("solc");
const input = {
  language: "Solidity",
  sources: { "Asset.sol": { content: readFileSync(join(here, "Asset.sol"), "utf8") } },
  settings: {
    evmVersion: "london",
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    optimizer: { enabled: true, runs: 1000 },
    viaIR: true,
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors ?? []).filter((one) => one.severity === "error");
if (errors.length > 0) throw new Error(errors.map((one) => one.formattedMessage).join("\n"));
const codes = Object.entries(output.contracts["Asset.sol"]).map(([name, c]) => [name, c.evm.bytecode.object]);
process.stdout.write(JSON.stringify(Object.fromEntries(codes)));
