/** How the explorer reaches the service: POST for queries, a WebSocket for subscriptions, the token on both. */

import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { type ExecutionResult, getOperationAST, parse } from "graphql";
import { type Client, createClient } from "graphql-ws";

import type { TokenState } from "./token";

const ENDPOINT = "/graphql";

/**
 * A fetcher for one token ("" for none).
 *
 * `onTokenState` hears after each HTTP answer whether the service accepted the token: a 401 means refused, an
 * answer that carries a 2xx status means accepted, anything else says nothing about it.
 */
export function createTokenFetcher(token: string, onTokenState: (state: TokenState) => void): Fetcher {
  const authorization: Record<string, string> = token === "" ? {} : { authorization: `Bearer ${token}` };
  const socketUrl = new URL(ENDPOINT, window.location.href);
  socketUrl.protocol = socketUrl.protocol === "https:" ? "wss:" : "ws:";
  const client = createClient({ url: socketUrl.href, connectionParams: authorization });

  async function post(params: FetcherParams, headers: Record<string, string>): Promise<ExecutionResult> {
    const response = await fetch(ENDPOINT, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json, application/json;q=0.9",
        ...authorization,
        ...headers,
      },
      body: JSON.stringify(params),
    });
    if (token !== "") {
      if (response.status === 401) onTokenState("refused");
      else if (response.ok) onTokenState("accepted");
    }
    const body = await response.text();
    try {
      return JSON.parse(body);
    } catch {
      throw new Error(`The service answered ${response.status} without JSON: ${body.slice(0, 200)}`);
    }
  }

  return (params, options) => (isSubscription(params) ? follow(client, params) : post(params, options?.headers ?? {}));
}

/** Read from the text that is sent: the editor's own parse may lag behind it by a few keystrokes. */
function isSubscription({ query, operationName }: FetcherParams): boolean {
  try {
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    return false; // The service says better what is wrong with the text.
  }
}

async function* follow(client: Client, params: FetcherParams): AsyncGenerator<ExecutionResult> {
  const { query, operationName, variables } = params;
  try {
    // Events over a socket arrive in graphql-ws' own result type, which differs only in how errors are typed.
    yield* client.iterate({ query, operationName, variables }) as AsyncIterable<ExecutionResult>;
  } catch (failure) {
    if (failure instanceof CloseEvent) {
      throw new Error(`The service closed the WebSocket: ${failure.code} ${failure.reason}`);
    }
    throw failure;
  }
}
