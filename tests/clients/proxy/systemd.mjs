// The unit of docs/operations.md, looked at by systemd itself; only the binary is where this machine has it.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { example } from "../lib/proxy.mjs";
import { check, finish } from "../lib/tap.mjs";

const folder = await mkdtemp(join(tmpdir(), "countersign-unit-"));
try {
  const binary = resolve(process.env.COUNTERSIGN);
  const unit = await example("ini", [["/usr/local/bin/countersign", binary]]);
  const said = async (text) => {
    const file = join(folder, "countersign.service");
    await writeFile(file, text);
    const verified = spawnSync("systemd-analyze", ["verify", "--recursive-errors=no", "--man=no", file], { encoding: "utf8" });
    return { status: verified.status, words: (verified.stderr ?? String(verified.error)).trim() };
  };
  const [good, bad] = [await said(unit), await said(unit.replace("ProtectSystem=strict", "ProtectSystem=maybe"))];
  check("systemd has nothing to say of the unit", good.status === 0 && good.words === "", good);
  check("it would, of a word that it does not know", bad.words.includes("maybe"), bad);
} finally {
  await rm(folder, { recursive: true, force: true });
}
finish();
