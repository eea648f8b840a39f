/** The languages of the pages: which one a visitor gets, and how the choice is kept. */

export type Language = "en" | "zh-CN";

const STORAGE_KEY = "cmdb.language";

/** The visitor's earlier choice, else the first of the browser's languages that we have, else English. */
export function initialLanguage(): Language {
  const chosen = localStorage.getItem(STORAGE_KEY);
  if (chosen === "en" || chosen === "zh-CN") return chosen;
  for (const tag of navigator.languages) {
    if (tag.toLowerCase().startsWith("zh")) return "zh-CN";
    if (tag.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

export function keepLanguage(language: Language): void {
  localStorage.setItem(STORAGE_KEY, language);
}
