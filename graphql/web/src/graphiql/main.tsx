import "graphiql/setup-workers/vite";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./page.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { ExplorerPage } from "./ExplorerPage";

const root = document.getElementById("root");
if (root === null) throw new Error("graphiql.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <ExplorerPage />
  </StrictMode>,
);
