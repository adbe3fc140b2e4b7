// The page is served by the API: index.html at `/`, everything else below `/dashboard/`.
import { defineConfig } from "vite";

const API = process.env.GREENPOWER_API ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/dashboard/",
  build: {
    outDir: "../built",
    emptyOutDir: true,
    // The content policy allows no inline scripts, and images from files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy: { "/api": API, "/dashboard/config.json": API } },
});
