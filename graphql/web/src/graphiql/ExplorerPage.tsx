import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useState } from "react";

import iconUrl from "../icon.svg";
import { initialLanguage, keepLanguage, type Language } from "../language";
import { exampleTabs } from "./examples";
import { createTokenFetcher } from "./fetcher";
import { TEXTS } from "./texts";
import { storedToken, storeToken, type TokenState } from "./token";
import { TokenPanel } from "./TokenPanel";

const LANGUAGES: readonly { code: Language; name: string }[] = [
  { code: "en", name: "English" },
  { code: "zh-CN", name: "中文" },
];

const untriedOrNone = (token: string): TokenState => (token === "" ? "none" : "untried");

/** The whole page: our header with the token and the language, and GraphiQL below it. */
export function ExplorerPage() {
  const [language, setLanguage] = useState(initialLanguage);
  const [token, setToken] = useState(storedToken);
  const [tokenState, setTokenState] = useState<TokenState>(() => untriedOrNone(token));
  const [panelWanted, setPanelWanted] = useState(false);
  const texts = TEXTS[language];

  useEffect(() => {
    document.documentElement.lang = language;
    document.title = texts.pageTitle;
  }, [language, texts]);

  const fetcher = useMemo(() => createTokenFetcher(token, setTokenState), [token]);
  // GraphiQL reads its default tabs once; a later change of language leaves the visitor's tabs alone.
  const [tabs] = useState(() => exampleTabs(texts));

  function chooseLanguage(chosen: Language) {
    keepLanguage(chosen);
    setLanguage(chosen);
  }

  function applyToken(given: string) {
    storeToken(given);
    setToken(given);
    setTokenState(untriedOrNone(given));
    setPanelWanted(false);
  }

  const panelShown = panelWanted || tokenState === "none" || tokenState === "refused";
  const stateText = {
    none: texts.tokenNone,
    untried: texts.tokenUntried,
    accepted: texts.tokenAccepted,
    refused: texts.tokenRefused,
  }[tokenState];

  return (
    <div className="page">
      <header className="page-header">
        <img src={iconUrl} alt="" width="26" height="26" />
        <h1>
          CMDB <span>{texts.title}</span>
        </h1>
        <button
          type="button"
          className={`token-state token-${tokenState}`}
          aria-expanded={panelShown}
          aria-controls="token-panel"
          onClick={() => setPanelWanted(!panelShown)}
        >
          {stateText}
        </button>
        <span role="status" className="only-read-aloud">
          {stateText}
        </span>
        <div className="languages" role="group" aria-label={texts.language}>
          {LANGUAGES.map(({ code, name }) => (
            <button
              key={code}
              type="button"
              lang={code}
              aria-pressed={code === language}
              onClick={() => chooseLanguage(code)}
            >
              {name}
            </button>
          ))}
        </div>
      </header>
      {panelShown && <TokenPanel texts={texts} token={token} state={tokenState} onToken={applyToken} />}
      <main>
        <GraphiQL
          // A new token starts over, so that the schema is read with it.
          key={token}
          fetcher={fetcher}
          defaultTabs={tabs}
          // Without a token the schema would only be refused; null skips the request.
          {...(token === "" ? { schema: null } : {})}
          // The token field is the one place for credentials; headers typed by hand are not written to disk.
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </div>
  );
}
