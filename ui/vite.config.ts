// Builds the portal into the Python package, which serves it. Nothing is inlined: the policy of the pages forbids it.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompress, constants, gzip } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

import { dictionary } from "./vite.dictionary.ts";

const nothing = new URL("src/portal/nothing.ts", import.meta.url).pathname;
/** What the viewer's libraries bring along and the portal never calls: WebGPU's twin of each mapper, readers of meshes. */
const UNUSED = /^.*\/WebGPU\/.*$|^@kitware\/vtk\.js\/IO\/.*$/;
/** Fonts and pictures are compressed as they are. */
const COMPRESSED = /\.(js|css|svg|wasm)$/;

type Made = (error: Error | null, bytes: Uint8Array) => void;

const made = (by: (done: Made) => void): Promise<Uint8Array> =>
  new Promise((give, refuse) => by((error, bytes) => (error ? refuse(error) : give(bytes))));

/** Beside each file the same for browsers that take less of it: made once here, so that serving costs nothing. */
function compressed(): Plugin {
  return {
    name: "compressed",
    async writeBundle({ dir = "" }) {
      const assets = join(dir, "assets");
      const names = (await readdir(assets)).filter((name) => COMPRESSED.test(name));
      await Promise.all(names.map(async (name) => {
        const file = join(assets, name);
        const bytes = await readFile(file);
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
        const [small, smallest] = await Promise.all([
          made((done) => gzip(bytes, { level: 9 }, done)),
          made((done) => brotliCompress(bytes, quality, done)),
        ]);
        if (small.length < bytes.length) await writeFile(`${file}.gz`, small);
        if (smallest.length < bytes.length) await writeFile(`${file}.br`, smallest);
      }));
    },
  };
}

export default defineConfig({
  plugins: [react(), dictionary(), compressed()],
  base: "/portal/",
  worker: { format: "es" },
  resolve: {
    alias: [
      // Decoders of images can run in Node, too, whose modules are not there in a browser.
      { find: /^(fs|path)$/, replacement: nothing },
      { find: UNUSED, replacement: nothing },
    ],
  },
  build: {
    outDir: "../src/wardlight/web/portal",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 4000,
  },
});
