// Verifies many bundles in one process: a file with a JSON array of {bundle (base64), trust} in, one verdict or `usage` a line out.

import { readFileSync } from "node:fs";
import process from "node:process";
import { fromBase64 } from "../../src/audit/bytes.ts";
import { UsageError, verify, type Trust } from "../../src/audit/index.ts";

const jobs = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as { bundle: string; trust: Trust }[];
for (const { bundle, trust } of jobs) {
  let found: unknown;
  try {
    found = await verify(new Blob([fromBase64(bundle)]), trust);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    found = "usage";
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
