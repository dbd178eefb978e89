// Runs npm's forge with these arguments and exits as it exits: the package's own `forge` exits with 0 even when tests fail.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const packages = join(dirname(fileURLToPath(import.meta.url)), "node_modules", "@foundry-rs");

/** The native program; npm installs that of this platform alone. */
export function forgeProgram() {
  const names = existsSync(packages) ? readdirSync(packages).filter((name) => name.startsWith("forge-")) : [];
  const found = names.map((name) => join(packages, name, "bin", "forge")).find(existsSync);
  if (found) return found;
  throw new Error(`expected forge's program for this platform in ${packages}/forge-*; run: npm ci`);
}

if (argv[1] && import.meta.url === pathToFileURL(argv[1]).href) {
  const { status, error } = spawnSync(forgeProgram(), argv.slice(2), { stdio: "inherit" });
  if (error) throw error;
  exit(status ?? 1);
}
