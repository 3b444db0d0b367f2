// The little of Node that the command and the tests use, so that its types need no package.

declare module "node:fs" {
  export function openAsBlob(path: string | URL): Promise<Blob>;
  export function readFileSync(path: string | URL, encoding: "utf8"): string;
}

declare module "node:process" {
  const process: { argv: string[]; exitCode: number; stdout: { write(text: string): void }; stderr: { write(text: string): void } };
  export default process;
}

declare module "node:util" {
  export function parseArgs(config: object): {
    values: Record<string, string | string[] | boolean | undefined>;
    positionals: string[];
  };
}

declare module "node:test" {
  export function test(name: string, body: () => void | Promise<void>): void;
}

declare module "node:assert/strict" {
  const assert: {
    equal(found: unknown, expected: unknown, message?: string): void;
    deepEqual(found: unknown, expected: unknown, message?: string): void;
    ok(found: unknown, message?: string): asserts found;
    throws(body: () => unknown, expected?: unknown, message?: string): void;
    rejects(body: Promise<unknown>, expected?: unknown): Promise<void>;
  };
  export default assert;
}
