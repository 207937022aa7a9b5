// A list that one call of the API tells whole.
import { html, nothing } from "/web/shared/lit.js";
import { get } from "/web/shared/calls.js";

export class Whole {
  rows = [];
  #state = "waiting";
  #trouble = "";
  #path;
  #field;
  #changed;
  #calls = new AbortController();

  /** Asks at once. @param {string} path of the call @param {string} field its list */
  constructor(path, field, /** @type {() => void} */ changed) {
    this.#path = path;
    this.#field = field;
    this.#changed = changed;
    this.load();
  }

  end() {
    this.#calls.abort();
  }

  async load() {
    const { signal } = this.#calls;
    try {
      this.rows = (await get(this.#path, {}, signal))[this.#field];
      this.#state = "whole";
    } catch (error) {
      if (signal.aborted) return;
      this.#state = "failed";
      this.#trouble = error.message;
    }
    this.#changed();
  }

  /** What stands below the rows. */
  foot(nothingFound) {
    if (this.#state === "failed") {
      return html`<p class="trouble" role="alert">${this.#trouble}
        <button class="button little" @click=${() => this.load()}>Try again</button></p>`;
    }
    if (this.#state === "waiting") return html`<p class="empty">Loading…</p>`;
    return this.rows.length ? nothing : html`<p class="empty">${nothingFound}</p>`;
  }
}
