// All sessions, with filters, and the same as a file.
import { html, render } from "/web/shared/lit.js";
import { icons } from "/web/shared/icons.js";
import { choiceField, textField, timeField } from "/web/central/fields.js";
import { Listing, writeAddress } from "/web/central/listing.js";
import { sessionTable } from "/web/central/session_words.js";

const STATUSES = { "": "all", ACTIVE: "ACTIVE", COMPLETED: "COMPLETED", FAILED: "FAILED" };
const NAMES = ["cp_id", "driver_id", "status", "since", "until"];

export class SessionsView {
  title = "Sessions";
  #element;
  #listing;
  #filters;

  constructor(element, _model, { query }) {
    this.#element = element;
    this.#filters = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
    this.#listing = new Listing("/sessions", "sessions", (row) => row.session_id, () => this.draw());
    this.#listing.load(this.#filters);
  }

  end() {
    this.#listing.end();
  }

  #take = (name) => (value) => {
    this.#filters = { ...this.#filters, [name]: value };
    writeAddress("/sessions", this.#filters);
    this.#listing.load(this.#filters);
  };

  draw() {
    const { cp_id, driver_id, status, since, until } = this.#filters;
    const listing = this.#listing;
    render(
      html`<div class="page-head"><h1>Sessions</h1>
          <a class="button" href=${listing.csv()} download="sessions.csv">${icons.down} CSV</a></div>
        <div class="filter-bar">
          ${textField("Charging point", cp_id, this.#take("cp_id"))}
          ${textField("Driver", driver_id, this.#take("driver_id"))}
          ${choiceField("Outcome", status, STATUSES, this.#take("status"))}
          ${timeField("Began after", since, this.#take("since"))}
          ${timeField("Began before", until, this.#take("until"))}
        </div>
        <section class="panel">
          ${listing.rows.length ? sessionTable(listing.rows) : ""}
          ${listing.foot("No session is like that.")}
        </section>`,
      this.#element,
    );
  }
}
