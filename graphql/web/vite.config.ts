import { defineConfig } from "vite";

// Pages are entries of their own, so that the explorer's editor is never loaded by another page.
export default defineConfig({
  // The service hands out everything in the output folder below this path (cmdb_graphql/static_files.py).
  base: "/static/",
  build: {
    outDir: "../cmdb_graphql/static",
    emptyOutDir: true,
    // The content security policy allows no data: addresses.
    assetsInlineLimit: 0,
    // Monaco alone is larger than the default limit of 500 kB.
    chunkSizeWarningLimit: 5000,
    // The notices that the bundled packages' licences ask for travel with the wheel.
    license: { fileName: "third-party-licenses.md" },
    rolldownOptions: {
      input: { graphiql: "graphiql.html" },
      // "use client" marks components for server rendering, which these pages do not use.
      onwarn(warning, warn) {
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  worker: { format: "es" },
  server: {
    proxy: { "/graphql": { target: "http://127.0.0.1:8000", ws: true } },
  },
});
