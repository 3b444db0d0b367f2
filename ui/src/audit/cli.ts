// node cli.ts BUNDLE [--trust FILE] [--checkpoint FILE]… [--log-key-only] [--complete]: prints the verdict as JSON.

import { openAsBlob, readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { EXIT, parseTrust, UsageError, verify } from "./index.ts";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      trust: { type: "string" },
      checkpoint: { type: "string", multiple: true, default: [] },
      "log-key-only": { type: "boolean", default: false },
      complete: { type: "boolean", default: false },
    },
  });
  const [bundle, ...more] = positionals;
  if (!bundle || more.length) throw new UsageError("name one bundle");
  const trust = {
    ...(values["trust"] ? parseTrust(readFileSync(String(values["trust"]), "utf8")) : {}),
    anchors: (values["checkpoint"] as string[]).map((path) => readFileSync(path, "utf8")),
    logKeyOnly: values["log-key-only"] === true,
    complete: values["complete"] === true,
  };
  const verdict = await verify(await openAsBlob(bundle), trust);
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
  return EXIT[verdict.verdict];
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
