/**
 * The API token of this browser tab.
 *
 * It lives in sessionStorage: it survives a reload, is not shared with other tabs, and ends with the tab.
 * It is never written to localStorage, to a cookie or into an address.
 */

const STORAGE_KEY = "cmdb.token";

/** What the service has said of the token so far. */
export type TokenState = "none" | "untried" | "accepted" | "refused";

export function storedToken(): string {
  return sessionStorage.getItem(STORAGE_KEY) ?? "";
}

export function storeToken(token: string): void {
  if (token === "") sessionStorage.removeItem(STORAGE_KEY);
  else sessionStorage.setItem(STORAGE_KEY, token);
}
