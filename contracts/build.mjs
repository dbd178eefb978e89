// Compiles the contracts with the pinned npm compiler and writes the committed build, which Python loads.
//
//   node build.mjs          writes ../src/proml/contracts/*.json, and deployments/VERSION.json in both places
//   node build.mjs --check  writes nothing; fails if the committed build is not what the sources compile to
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const solc = require("solc");
const { keccak256 } = require("js-sha3");

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "src", "proml", "contracts");
const published = join(here, "deployments");
const contracts = ["Workspace", "WorkspaceFactory"];

// Account of the deterministic deployment proxy, which stands at one address on most chains, and the salt of our factory.
const deployer = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
const salt = "00".repeat(32);

// foundry.toml repeats these, so that forge tests and measures the same byte code.
const settings = {
  evmVersion: "london",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 1000 },
  viaIR: true,
};

const sources = {};
for (const name of readdirSync(join(here, "src")).sort()) {
  if (name.endsWith(".sol")) sources[`src/${name}`] = { content: readFileSync(join(here, "src", name), "utf8") };
}

/** Reads an import from node_modules and remembers it among the sources. */
function findImport(path) {
  const content = readFileSync(join(here, "node_modules", path), "utf8");
  sources[path] = { content };
  return { contents: content };
}

function compile() {
  const outputSelection = {
    "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"] },
  };
  const input = { language: "Solidity", settings: { ...settings, outputSelection }, sources: { ...sources } };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  for (const message of output.errors ?? []) process.stderr.write(`${message.formattedMessage}\n`);
  if ((output.errors ?? []).length > 0) throw new Error("the contracts do not compile without errors and warnings");
  return output.contracts;
}

/** SHA-256 over every source's path and text in the order of their paths, each preceded by its length in bytes. */
function hashSources() {
  const hash = createHash("sha256");
  for (const path of Object.keys(sources).sort()) {
    for (const part of [path, sources[path].content]) {
      const bytes = Buffer.from(part, "utf8");
      hash.update(`${bytes.length}:`).update(bytes);
    }
  }
  return hash.digest("hex");
}

/** JSON with the keys of every object sorted. */
function serialise(value) {
  const sorted = (_, item) =>
    item && typeof item === "object" && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item;
  return `${JSON.stringify(value, sorted, 1)}\n`;
}

function build() {
  const compiled = compile();
  const sourceHash = hashSources();
  return contracts.map((name) => {
    const { abi, evm } = compiled[`src/${name}.sol`][name];
    const runtime = evm.deployedBytecode.object;
    if (Object.keys(evm.deployedBytecode.immutableReferences ?? {}).length > 0) {
      throw new Error(`${name} has immutables: its code hash would differ from one deployment to the next`);
    }
    if (runtime.length / 2 > 24576) throw new Error(`${name} has ${runtime.length / 2} bytes; EIP-170 allows 24,576`);
    const text = serialise({
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      compiler: `solc ${solc.version()}`,
      runtime_code: `0x${runtime}`,
      runtime_code_hash: `0x${keccak256(Buffer.from(runtime, "hex"))}`,
      settings,
      source_hash: `sha256:${sourceHash}`,
    });
    const hashes = {
      creation_code_hash: `0x${keccak256(Buffer.from(evm.bytecode.object, "hex"))}`,
      runtime_code_hash: `0x${keccak256(Buffer.from(runtime, "hex"))}`,
      runtime_bytes: runtime.length / 2,
    };
    const initSize = evm.bytecode.object.length / 2;
    return { name, path: join(target, `${name}.json`), text, size: runtime.length / 2, initSize, hashes, sourceHash };
  });
}

/** An address with the mixed-case checksum of EIP-55, from 40 hex digits. */
function checksum(digits) {
  const hash = keccak256(digits);
  return `0x${[...digits].map((digit, i) => (parseInt(hash[i], 16) >= 8 ? digit.toUpperCase() : digit)).join("")}`;
}

/** Where CREATE2 (EIP-1014) by the deployment proxy puts the factory. */
function factoryAddress(creationCodeHash) {
  const parts = ["ff", deployer.slice(2), salt, creationCodeHash.slice(2)];
  return checksum(keccak256(Buffer.from(parts.join(""), "hex")).slice(24));
}

/** The published description of this version's build, for deployments/VERSION.json; README.md there explains it. */
function release(built) {
  const { version, proml } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const openzeppelin = require("@openzeppelin/contracts/package.json").version;
  const path = join(published, `${version}.json`);
  const before = JSON.parse(readOrEmpty(path) || "{}");
  const byName = Object.fromEntries(built.map(({ name, hashes }) => [name, hashes]));
  const after = {
    schema: "proml-deployment/1",
    version,
    interface: proml.interface,
    released: before.released ?? null,
    compiler: `solc ${solc.version()}`,
    settings,
    openzeppelin,
    source_hash: `sha256:${built[0].sourceHash}`,
    contracts: byName,
    factory: { deployer, salt: `0x${salt}`, address: factoryAddress(byName.WorkspaceFactory.creation_code_hash) },
    chains: before.chains ?? [],
  };
  const final = after.released !== null || after.chains.length > 0;
  if (final && serialise(before) !== serialise(after)) {
    throw new Error(`${path} is released and describes another build; raise "version" in contracts/package.json`);
  }
  return { path, text: serialise(after) };
}

/** The files to write: builds, this version's description, and in the package a copy of every version's. */
function files() {
  const built = build();
  for (const { name, size, initSize } of built) {
    console.log(`${name}: runtime ${size} bytes, creation ${initSize} bytes`);
  }
  const current = release(built);
  const others = existsSync(published) ? readdirSync(published).filter((name) => name.endsWith(".json")) : [];
  const texts = new Map(others.map((name) => [name, readFileSync(join(published, name), "utf8")]));
  texts.set(basename(current.path), current.text);
  const copies = [...texts].map(([name, text]) => ({ path: join(target, "deployments", name), text }));
  return [...built, current, ...copies];
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const check = process.argv.includes("--check");
for (const { path, text } of files()) {
  if (check) {
    if (readOrEmpty(path) !== text) {
      console.error(`${path} is not what the sources compile to; run: node contracts/build.mjs`);
      process.exitCode = 1;
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
