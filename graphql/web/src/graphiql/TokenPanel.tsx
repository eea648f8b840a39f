import { type FormEvent, useState } from "react";

import type { Texts } from "./texts";
import type { TokenState } from "./token";

interface TokenPanelProps {
  readonly texts: Texts;
  readonly token: string;
  readonly state: TokenState;
  /** Called with the token to use from now on; "" forgets it. */
  readonly onToken: (token: string) => void;
}

/** Where a token is pasted, replaced or forgotten. */
export function TokenPanel({ texts, token, state, onToken }: TokenPanelProps) {
  const [typed, setTyped] = useState("");

  function submit(event: FormEvent) {
    event.preventDefault();
    const given = typed.trim();
    if (given !== "") onToken(given);
  }

  return (
    <form id="token-panel" className="token-panel" onSubmit={submit}>
      <label htmlFor="token">{texts.token}</label>
      <input
        id="token"
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder={texts.tokenPlaceholder}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
      <button type="submit" className="primary" disabled={typed.trim() === ""}>
        {texts.tokenUse}
      </button>
      {token !== "" && (
        <button type="button" onClick={() => onToken("")}>
          {texts.tokenForget}
        </button>
      )}
      {state === "refused" ? (
        <p role="alert">{texts.tokenRefusedWhy}</p>
      ) : (
        <p>
          {texts.tokenWhy} {texts.tokenWhence} <code>cmdb token create</code>
        </p>
      )}
    </form>
  );
}
