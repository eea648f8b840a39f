/** How the explorer reaches the service: POST for queries, one WebSocket for subscriptions, the token on both. */

import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { createClient } from "graphql-ws";

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

  const fetchAndWatch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (token !== "") {
      if (response.status === 401) onTokenState("refused");
      else if (response.ok) onTokenState("accepted");
    }
    return response;
  };

  const socketUrl = new URL(ENDPOINT, window.location.href);
  socketUrl.protocol = socketUrl.protocol === "https:" ? "wss:" : "ws:";

  return createGraphiQLFetcher({
    url: ENDPOINT,
    headers: authorization,
    fetch: fetchAndWatch,
    enableIncrementalDelivery: false,
    wsClient: createClient({ url: socketUrl.href, connectionParams: authorization }),
  });
}
