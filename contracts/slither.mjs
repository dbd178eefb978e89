// Has Slither read the contracts; fails if it finds anything that no comment on the line before explains.
//
// SLITHER names the program; by default it is that of ../.venv-contracts.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { exit } from "node:process";
import { fileURLToPath } from "node:url";

import { forgeProgram } from "./forge.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const slither = process.env.SLITHER ?? join(here, "..", ".venv-contracts", "bin", "slither");
if (!existsSync(slither)) throw new Error(`expected Slither at ${slither}; run: make .venv-contracts/.made`);

const path = [dirname(forgeProgram()), process.env.PATH].join(delimiter);
const env = { ...process.env, PATH: path, FOUNDRY_PROFILE: "slither", FOUNDRY_OFFLINE: "true" };
const options = ["--compile-force-framework", "foundry", "--filter-paths", "node_modules", "--disable-color"];
const { status, error } = spawnSync(slither, [".", ...options], { cwd: here, env, stdio: "inherit" });
if (error) throw error;
exit(status ?? 1);
