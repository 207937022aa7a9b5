// The head of the admin's pages: their title, their buttons, and the way from one to the other.
import { html, nothing } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";

const PAGES = { "/admin": "Users", "/tokens": "Tokens", "/audit": "Audit" };

/** @param {keyof typeof PAGES} present */
export function adminHead(present, buttons = nothing) {
  const link = ([path, name]) => html`<a href="#${path}" aria-current=${path === present}>${name}</a>`;
  const nav = html`<nav class="segments" aria-label="Administration">${Object.entries(PAGES).map(link)}</nav>`;
  return html`<div class="page-head">
    <div><h1>${PAGES[present]}</h1></div>
    <div class="buttons">${access.may("administer") ? nav : nothing} ${buttons}</div>
  </div>`;
}

/** A table of an admin's page; `columns` are its heads, an empty one that of buttons. */
export function adminTable(label, columns, rows) {
  const head = (name) => html`<th scope="col">${name || html`<span class="unseen">Buttons</span>`}</th>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table class="table">
    <thead><tr>${columns.map(head)}</tr></thead>
    <tbody>${rows}</tbody>
  </table></div>`;
}
