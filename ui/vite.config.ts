// Builds the portal into the Python package, which serves it. Nothing is inlined: the policy of the pages forbids it.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  base: "/portal/",
  worker: { format: "es" },
  build: {
    outDir: "../src/wardlight/web/portal",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 900,
  },
});
