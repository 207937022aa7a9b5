// A list that is asked for page by page, with filters that stand in the address of the page.
import { html, nothing } from "/web/shared/lit.js";
import { address, get } from "/web/shared/calls.js";
import { Following } from "/web/central/following.js";

/**
 * Rows of one call of the API, newest first. A filter that changes is written into the address, so
 * that a link or a reload shows the same.
 */
export class Listing {
  rows = [];
  state = "waiting";
  trouble = "";
  #path;
  #field;
  #limit;
  #idOf;
  #changed;
  #calls = new AbortController();
  #following = new Following();

  /**
   * @param {string} path of the call @param {string} field its list
   * @param {(row: object) => string} idOf what `before` wants
   */
  constructor(path, field, idOf, changed, limit = 100) {
    this.#path = path;
    this.#field = field;
    this.#idOf = idOf;
    this.#changed = changed;
    this.#limit = limit;
  }

  end() {
    this.#calls.abort();
  }

  /** Ask anew with other filters. */
  async load(filters) {
    this.#calls.abort();
    this.#calls = new AbortController();
    this.filters = filters;
    this.state = "waiting";
    await this.#ask([]);
  }

  async more() {
    this.state = "waiting";
    await this.#ask(this.rows);
  }

  async #ask(before) {
    const { signal } = this.#calls;
    this.#changed();
    this.#following.asked();
    try {
      const last = before.at(-1);
      const page = { ...this.filters, limit: this.#limit, before: last && this.#idOf(last) };
      const found = (await get(this.#path, page, signal))[this.#field];
      this.rows = [...before, ...found];
      this.state = found.length < this.#limit ? "whole" : "more";
      this.trouble = "";
    } catch (error) {
      if (signal.aborted) return;
      this.rows = before;
      this.state = "failed";
      this.trouble = error.message;
    }
    this.#changed();
  }

  /** Ask for the newest rows again where the feed's `sign` says that there may be more. */
  async follow(sign) {
    if (this.state === "waiting" || !this.#following.isDue(sign)) return;
    const { signal } = this.#calls;
    try {
      const found = (await get(this.#path, { ...this.filters, limit: this.#limit }, signal))[this.#field];
      if (this.state === "waiting") this.#following.askAgain();
      else this.#join(found);
    } catch {
      // What is shown stays as it is.
      if (!signal.aborted) this.#following.askAgain();
    }
    this.#changed();
  }

  /** Put the newest page before those that were read behind it. */
  #join(found) {
    const whole = found.length < this.#limit;
    const last = whole ? null : this.#idOf(found.at(-1));
    const at = whole ? -1 : this.rows.findIndex((row) => this.#idOf(row) === last);
    this.rows = at < 0 ? found : [...found, ...this.rows.slice(at + 1)];
    this.trouble = "";
    if (whole) this.state = "whole";
    else if (at < 0 || this.state === "failed") this.state = "more";
  }

  /** The same as a file. */
  csv() {
    return address(this.#path, { ...this.filters, format: "csv" });
  }

  /** What stands below the rows. */
  foot(nothingFound) {
    if (this.state === "failed") {
      return html`<p class="trouble" role="alert">${this.trouble}
        <button class="button little" @click=${() => this.load(this.filters)}>Try again</button></p>`;
    }
    if (this.state === "waiting") return html`<p class="empty">Loading…</p>`;
    if (!this.rows.length) return html`<p class="empty">${nothingFound}</p>`;
    if (this.state === "whole") return nothing;
    return html`<p class="more"><button class="button" @click=${() => this.more()}>Older</button></p>`;
  }
}

/** Filters that stand in the address of a page, and `load`, which is called with each new set. */
export class Filters {
  values;
  #place;
  #load;

  /** @param {string[]} names @param {URLSearchParams} query of the address */
  constructor(place, names, query, load) {
    this.#place = place;
    this.#load = load;
    this.values = Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]));
  }

  /** What takes a new value of one filter. */
  taker = (name) => (value) => {
    this.values = { ...this.values, [name]: value };
    writeAddress(this.#place, this.values);
    this.#load(this.values);
  };
}

/** Write filters into the address of this page, without another entry in the history. */
export function writeAddress(place, filters) {
  history.replaceState(null, "", address(`#${place}`, filters));
}
