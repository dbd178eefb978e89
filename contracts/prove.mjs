// Proves the checks of test/symbolic for the committed byte code, with Halmos.
//
//   node prove.mjs            every check
//   node prove.mjs REGEX      those whose name matches
//
// A function `check_…` must hold for all values of its arguments. Its twin `reach_…` claims that the same scene never
// succeeds, and must be refuted. HALMOS names the program; by default it is that of ../.venv-contracts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { forgeProgram } from "./forge.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const build = join(here, "..", "src", "proml", "contracts", "Workspace.json");
const cache = join(here, "cache", "symbolic");
const halmos = process.env.HALMOS ?? join(here, "..", ".venv-contracts", "bin", "halmos");
const answers = ["holds", "refuted", "not decided in time", "stuck", "always reverts", "failed"]; // by Halmos's exit code
const least = 12; // checks; fewer means that some were not found

/** Runs the functions of one kind; returns `{ name, code, seconds, paths }` of each. */
function run(kind, match, ...options) {
  const report = join(cache, `${kind}.json`);
  rmSync(report, { force: true });
  const path = [dirname(forgeProgram()), dirname(halmos), process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH: path, FOUNDRY_PROFILE: "symbolic", FOUNDRY_OFFLINE: "true" };
  const given = ["--match-test", `^${kind}_.*(${match})`, "--forge-build-out", "out/symbolic", "--json-output", report];
  const ran = spawnSync(halmos, [...given, "--no-status", "--solver-timeout-assertion", "5m", ...options], {
    cwd: here,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (!existsSync(report)) throw new Error(`halmos wrote no report:\n${ran.error ?? ran.stdout + ran.stderr}`);
  const found = Object.entries(JSON.parse(readFileSync(report, "utf8")).test_results);
  const results = found.filter(([test]) => existsSync(join(here, test.split(":")[0]))); // the build keeps deleted tests
  return results.flatMap(([, of]) => of).map(({ name, exitcode, time, num_paths, num_bounded_loops }) => ({
    name: name.split("(")[0],
    // A loop that was cut short is no proof.
    code: exitcode === 0 && num_bounded_loops > 0 ? 3 : exitcode,
    seconds: time?.[0] ?? 0,
    paths: num_paths?.[0] ?? 0,
  }));
}

const match = process.argv[2] ?? "";
if (!existsSync(halmos)) throw new Error(`expected Halmos at ${halmos}; run: make .venv-contracts/.made`);
mkdirSync(cache, { recursive: true });
const { bytecode } = JSON.parse(readFileSync(build, "utf8"));
writeFileSync(join(cache, "Workspace.json"), JSON.stringify({ bytecode: { object: bytecode } }));

const started = Date.now();
const checks = run("check", match);
const reached = new Map(run("reach", match, "--early-exit").map((result) => [result.name, result]));
for (const { name, code, seconds, paths } of checks) {
  const twin = reached.get(name.replace("check_", "reach_"));
  const scene = twin?.code === 1 ? "its scene happens" : `its scene: ${twin ? answers[twin.code] : "no twin"}`;
  const told = `${name}: ${answers[code] ?? "failed"} (${paths} paths, ${seconds.toFixed(1)} s), ${scene}`;
  if (code === 0 && twin?.code === 1) {
    console.log(told);
  } else {
    console.error(told);
    process.exitCode = 1;
  }
}
console.log(`${checks.length} checks in ${((Date.now() - started) / 1000).toFixed(0)} s`);
if (match === "" && checks.length < least) {
  console.error(`expected at least ${least} checks`);
  process.exitCode = 1;
}
if (checks.length === 0 || reached.size !== checks.length) {
  console.error(`expected a reach_ for each check_, found ${reached.size} for ${checks.length}`);
  process.exitCode = 1;
}
