// Builds the portal into the Python package, which serves it. Nothing is inlined: the policy of the pages forbids it.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  base: "/portal/",
  worker: { format: "es" },
  // Decoders of images can run in Node, too, whose modules are not there in a browser.
  resolve: { alias: [{ find: /^(fs|path)$/, replacement: new URL("src/portal/nothing.ts", import.meta.url).pathname }] },
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
