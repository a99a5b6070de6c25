import { defineConfig } from "vite";

export default defineConfig({
  build: {
    outDir: "../service/page/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false }, // would be an inline script
    assetsInlineLimit: 0, // nothing inline, so that the page's policy can forbid it
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000", "/page": "http://127.0.0.1:8000" } },
});
