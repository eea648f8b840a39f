/**
 * The tabs of a first visit. The queries are files of their own, so that a test can hold each one against
 * schema.graphql.
 */

import dependents from "./examples/dependents.graphql?raw";
import findServers from "./examples/find-servers.graphql?raw";
import history from "./examples/history.graphql?raw";
import revisionFeed from "./examples/revision-feed.graphql?raw";
import search from "./examples/search.graphql?raw";
import whatIf from "./examples/what-if.graphql?raw";
import type { Texts } from "./texts";

interface ExampleTab {
  readonly query: string;
}

export function exampleTabs(texts: Texts): ExampleTab[] {
  const examples: [title: string, query: string][] = [
    [texts.exampleFindServers, findServers],
    [texts.exampleSearch, search],
    [texts.exampleDependents, dependents],
    [texts.exampleWhatIf, whatIf],
    [texts.exampleHistory, history],
    [texts.exampleRevisionFeed, revisionFeed],
  ];
  return examples.map(([title, query]) => ({ query: `# ${title}\n# ${texts.exampleRun}\n\n${query}` }));
}
