// The button that changes between the system's theme, light and dark.
import { html } from "/web/shared/lit.js";
import { icons } from "/web/shared/icons.js";

const KEY = "evd-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const ICONS = { auto: icons.auto, light: icons.sun, dark: icons.moon };

/** @returns {"auto" | "light" | "dark"} */
export function chosenTheme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function choose(theme) {
  if (theme === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
  }
  document.dispatchEvent(new Event("themechange"));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new Event("themechange"));
});

/** The button; `changed` is called after a press, to draw it again. */
export function themeToggle(changed) {
  const theme = chosenTheme();
  const label = `Theme: ${theme}. Change to ${NEXT[theme]}`;
  const press = () => {
    choose(NEXT[theme]);
    changed();
  };
  return html`<button class="button bare square" title=${label} aria-label=${label} @click=${press}>
    ${ICONS[theme]}
  </button>`;
}
