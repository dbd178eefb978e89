// Runs the invariant tests of the committed build and says how often each operation was tried and accepted.
//
//   node fuzz.mjs        the short run, a part of `make test-contracts`
//   node fuzz.mjs long   the million calls of `make fuzz`, one process for each processor, each with a seed of its own
//
// Fails if an invariant fails, if fewer calls were made than were asked for, or if some operation was hardly ever
// accepted: a handler whose calls are all refused proves nothing.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { forgeProgram } from "./forge.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const forge = forgeProgram();
const tally = join(here, "cache", "invariant", "tally.csv");
const leastAccepted = 0.3; // of the calls of each operation

const long = process.argv[2] === "long";
const profile = { ...process.env, FOUNDRY_PROFILE: long ? "long" : "invariant" };
const processes = long ? Math.max(1, cpus().length) : 1;

function settings() {
  const found = spawnSync(forge, ["config", "--json"], { cwd: here, env: profile, encoding: "utf8" });
  return JSON.parse(found.stdout).invariant;
}

function fuzz(seed, runs) {
  const env = { ...profile, FOUNDRY_INVARIANT_RUNS: String(runs) };
  return new Promise((resolve) => {
    const child = spawn(forge, ["test", "--offline", "--fuzz-seed", String(seed)], { cwd: here, env });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    child.on("close", (status) => resolve({ status, output }));
  });
}

/** Adds up the lines `operation,tried,accepted`, one for each operation of each run. */
function counts() {
  const sums = new Map();
  for (const line of readFileSync(tally, "utf8").trim().split("\n")) {
    const [operation, tried, accepted] = line.split(",");
    const sum = sums.get(operation) ?? { tried: 0, accepted: 0 };
    sums.set(operation, { tried: sum.tried + Number(tried), accepted: sum.accepted + Number(accepted) });
  }
  return [...sums].sort();
}

mkdirSync(dirname(tally), { recursive: true });
rmSync(tally, { force: true });
const built = spawnSync(forge, ["build", "--offline"], { cwd: here, env: profile, encoding: "utf8" });
if (built.status !== 0) {
  console.error(built.stdout + built.stderr);
  process.exit(1);
}
const { runs, depth } = settings();
const each = Math.ceil(runs / processes);
const started = Date.now();
const results = await Promise.all(Array.from({ length: processes }, (_, i) => fuzz(i + 1, each)));
const seconds = (Date.now() - started) / 1000;
for (const { status, output } of results) {
  if (status !== 0) {
    console.error(output);
    process.exitCode = 1;
  }
}
if (process.exitCode) process.exit();

const calls = results.reduce((sum, { output }) => sum + Number(/calls: (\d+)/.exec(output)?.[1] ?? 0), 0);
console.log("operation          tried  accepted");
for (const [operation, { tried, accepted }] of counts()) {
  console.log(`${operation.padEnd(15)} ${String(tried).padStart(8)} ${String(accepted).padStart(9)}`);
  if (accepted < leastAccepted * tried) {
    console.error(`${operation}: expected at least ${leastAccepted * 100} % to be accepted; the handler draws too badly`);
    process.exitCode = 1;
  }
}
console.log(`${calls} calls in ${seconds.toFixed(0)} s, ${(calls / seconds).toFixed(0)} a second, no invariant broken`);
if (calls < each * depth * processes) {
  console.error(`expected ${each * depth * processes} calls; see the runs and depth of this profile in foundry.toml`);
  process.exitCode = 1;
}
