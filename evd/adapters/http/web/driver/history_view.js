// The sessions of this driver with their bills, newest first, as Central keeps them.
import { html, nothing, render, repeat } from "/web/shared/lit.js";
import { get } from "/web/shared/calls.js";
import { euros, kwh, month, shortDateTime } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { marks } from "/web/driver/marks.js";

const PAGE = 30;

/** The bill of a session in words. */
export function billOf(session) {
  if (session.total_cost !== null) return euros(session.total_cost);
  if (session.status === "ACTIVE") return "running";
  return session.suspect ? "being checked" : "no bill yet";
}

export class HistoryView {
  #model;
  #actions;
  #changed;
  #sessions = [];
  #error = null;
  #loading = false;
  #whole = false;
  #newest = null;

  constructor(model, { actions, changed }) {
    this.#model = model;
    this.#actions = actions;
    this.#changed = changed;
    this.#newest = this.#model.news[0];
    this.#load();
  }

  end() {}

  draw(root) {
    if (this.#newest !== this.#model.news[0]) {
      // A session has begun or ended since.
      this.#newest = this.#model.news[0];
      this.#load();
    }
    render(html`<h1>History</h1>${this.#months()} ${this.#rest()}`, root);
  }

  #months() {
    const months = new Map();
    for (const session of this.#sessions) {
      const name = month(session.start_time);
      if (!months.has(name)) months.set(name, []);
      months.get(name).push(session);
    }
    return [...months].map(([name, sessions]) => this.#month(name, sessions));
  }

  #month(name, sessions) {
    const energy = sessions.reduce((sum, { total_kwh: each }) => sum + each, 0);
    const cost = sessions.reduce((sum, { total_cost: each }) => sum + (each ?? 0), 0);
    return html`<section class="month" aria-label=${name}>
      <header><h2>${name}</h2><span class="quiet small">${kwh(energy)} · ${euros(cost)}</span></header>
      <ul class="sessions">${repeat(sessions, ({ session_id: id }) => id, sessionRow)}</ul>
    </section>`;
  }

  #rest() {
    if (this.#error) {
      return html`<p class="trouble" role="alert">${this.#error}</p>
        <button class="button more" @click=${() => this.#load()}>Try again</button>`;
    }
    if (this.#loading && !this.#sessions.length) return html`<p class="empty">Loading…</p>`;
    if (!this.#sessions.length) return html`<p class="empty">No session yet. The first one will stand here.</p>`;
    if (this.#whole) return nothing;
    const more = () => this.#load(this.#sessions.at(-1).session_id);
    return html`<button class="button more" ?disabled=${this.#loading} @click=${more}>Show older sessions</button>`;
  }

  async #load(before = null) {
    if (this.#loading) return;
    this.#loading = true;
    this.#error = null;
    this.#changed();
    try {
      const found = await get(this.#actions.path("/sessions/history"), { limit: PAGE, before });
      this.#whole = found.length < PAGE;
      this.#sessions = before ? [...this.#sessions, ...found] : found;
    } catch (error) {
      this.#error = error.message;
    }
    this.#loading = false;
    this.#changed();
  }
}

function sessionRow(session) {
  const sign = session.status === "FAILED" ? icons.broken : session.status === "ACTIVE" ? icons.bolt : icons.on;
  return html`<li>
    <a href="#/session/${session.session_id}" data-status=${session.status}>
      <span class="sign">${sign}</span>
      <span class="what"><b>${session.cp_id}</b><span class="quiet">${shortDateTime(session.start_time)}</span></span>
      <span class="amounts"><b>${billOf(session)}</b><span class="quiet">${kwh(session.total_kwh)}</span></span>
      ${marks.right}
    </a>
  </li>`;
}

