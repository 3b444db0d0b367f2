// The little of Node that the portal's build uses.

declare module "node:fs/promises" {
  export function readdir(path: string, options?: { recursive: boolean }): Promise<string[]>;
  export function readFile(path: string): Promise<Uint8Array>;
  export function writeFile(path: string, data: Uint8Array): Promise<void>;
}

declare module "node:path" {
  export function join(...parts: string[]): string;
}

declare module "node:zlib" {
  type Answer = (error: Error | null, made: Uint8Array) => void;
  export const constants: { BROTLI_PARAM_QUALITY: number; BROTLI_PARAM_SIZE_HINT: number };
  export function gzip(bytes: Uint8Array, options: { level: number }, answer: Answer): void;
  export function brotliCompress(bytes: Uint8Array, options: { params: Record<number, number> }, answer: Answer): void;
}
