// All sessions, with filters, and the same as a file.
import { html, render } from "/web/shared/lit.js";
import { icons } from "/web/shared/icons.js";
import { choiceField, textField, timeField } from "/web/central/fields.js";
import { Filters, Listing } from "/web/central/listing.js";
import { sessionTable } from "/web/central/session_words.js";

const STATUSES = { "": "all", ACTIVE: "ACTIVE", COMPLETED: "COMPLETED", FAILED: "FAILED" };
const FOLLOWED = ["SESSION_STARTED", "SESSION_ENDED"];
const NAMES = ["cp_id", "driver_id", "status", "since", "until"];

export class SessionsView {
  title = "Sessions";
  #element;
  #model;
  #listing;
  #filters;

  constructor(element, model, { query }) {
    this.#element = element;
    this.#model = model;
    this.#listing = new Listing("/sessions", "sessions", (row) => row.session_id, () => this.draw());
    this.#filters = new Filters("/sessions", NAMES, query, (values) => this.#listing.load(values));
    this.#listing.load(this.#filters.values);
  }

  end() {
    this.#listing.end();
  }

  draw() {
    this.#listing.follow(this.#model.signOfKinds(FOLLOWED));
    const { cp_id, driver_id, status, since, until } = this.#filters.values;
    const take = this.#filters.taker;
    const listing = this.#listing;
    render(
      html`<div class="page-head"><h1>Sessions</h1>
          <a class="button" href=${listing.csv()} download="sessions.csv">${icons.down} CSV</a></div>
        <div class="filter-bar">
          ${textField("Charging point", cp_id, take("cp_id"))}
          ${textField("Driver", driver_id, take("driver_id"))}
          ${choiceField("Outcome", status, STATUSES, take("status"))}
          ${timeField("Began after", since, take("since"))}
          ${timeField("Began before", until, take("until"))}
        </div>
        <section class="panel">
          ${listing.rows.length ? sessionTable(listing.rows) : ""}
          ${listing.foot("No session is like that.")}
        </section>`,
      this.#element,
    );
  }
}
