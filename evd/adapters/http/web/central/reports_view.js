// Energy, sessions and money by month, charging point or driver.
import { html, render } from "/web/shared/lit.js";
import { address, get } from "/web/shared/calls.js";
import { count, euros, kwh } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { choiceField, textField, timeField } from "/web/central/fields.js";
import { Following } from "/web/central/following.js";
import { Filters } from "/web/central/listing.js";

const BY = { month: "Month (UTC)", cp: "Charging point", driver: "Driver" };
const SHOWN_MAX = 500;
// A report reads all sessions of its span.
const AGAIN_MS = 15_000;
const FOLLOWED = ["SESSION_ENDED"];
const NAMES = ["by", "since", "until", "cp_id", "driver_id"];

export class ReportsView {
  title = "Reports";
  #element;
  #model;
  #filters;
  #following = new Following(AGAIN_MS);
  #rows = null;
  #trouble = "";
  #calls = new AbortController();

  constructor(element, model, { query }) {
    this.#element = element;
    this.#model = model;
    this.#filters = new Filters("/reports", NAMES, query, () => this.#load());
    this.#filters.values.by ||= "month";
    this.#load();
  }

  end() {
    this.#calls.abort();
  }

  async #load() {
    this.#calls.abort();
    this.#calls = new AbortController();
    this.#following.asked();
    const { signal } = this.#calls;
    try {
      this.#rows = (await get("/reports", this.#filters.values, signal)).report;
      this.#trouble = "";
    } catch (error) {
      if (signal.aborted) return;
      this.#trouble = error.message;
    }
    this.draw();
  }

  draw() {
    if (this.#following.isDue(this.#model.signOfKinds(FOLLOWED))) this.#load();
    const { by, since, until, cp_id, driver_id } = this.#filters.values;
    const take = this.#filters.taker;
    const csv = address("/reports", { ...this.#filters.values, format: "csv" });
    render(
      html`<div class="page-head"><h1>Reports</h1>
          <a class="button" href=${csv} download="report-by-${by}.csv">${icons.down} CSV</a></div>
        <div class="filter-bar">
          ${choiceField("By", by, BY, take("by"))} ${timeField("Began after", since, take("since"))}
          ${timeField("Began before", until, take("until"))}
          ${textField("Charging point", cp_id, take("cp_id"))}
          ${textField("Driver", driver_id, take("driver_id"))}
        </div>
        <section class="panel">${this.#body()}</section>`,
      this.#element,
    );
  }

  #body() {
    if (this.#trouble) return html`<p class="trouble" role="alert">${this.#trouble}</p>`;
    if (this.#rows === null) return html`<p class="empty">Loading…</p>`;
    if (!this.#rows.length) return html`<p class="empty">Nothing was billed in this span.</p>`;
    const sum = (name) => this.#rows.reduce((total, row) => total + row[name], 0);
    // Months in their order, newest first; charging points and drivers by what they brought.
    const byMonth = this.#filters.values.by === "month";
    const order = byMonth ? [...this.#rows].reverse() : this.#rows.toSorted((a, b) => b.euros - a.euros);
    const shown = order.slice(0, SHOWN_MAX);
    const most = shown.reduce((found, row) => Math.max(found, row.kwh), 1e-9);
    const line = (row) => html`<tr>
      <th scope="row">${this.#key(row.key)}</th>
      <td class="number">${count(row.sessions)}</td>
      <td class="number">${kwh(row.kwh)}</td>
      <td class="number">${euros(row.euros)}</td>
      <td class="share"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><path d="M0 0h${(row.kwh / most) * 100}v8H0Z"></path></svg></td>
    </tr>`;
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Report"><table class="table report">
      <thead><tr><th scope="col">${BY[this.#filters.values.by]}</th><th scope="col" class="number">Sessions</th>
        <th scope="col" class="number">Energy</th><th scope="col" class="number">Billed</th><th scope="col"><span class="unseen">Share of the energy</span></th></tr></thead>
      <tbody>${shown.map(line)}</tbody>
      <tfoot><tr><td>All</td><td class="number">${count(sum("sessions"))}</td><td class="number">${kwh(sum("kwh"))}</td>
        <td class="number">${euros(sum("euros"))}</td><td></td></tr></tfoot>
    </table></div>
    ${order.length > SHOWN_MAX ? html`<p class="empty">These are the first ${count(SHOWN_MAX)} of ${count(order.length)}; the CSV has all.</p>` : ""}`;
  }

  #key(key) {
    if (this.#filters.values.by === "cp") return html`<a href="#/cp/${key}">${key}</a>`;
    if (this.#filters.values.by === "driver") return html`<a href="#/sessions?driver_id=${key}">${key}</a>`;
    return key;
  }
}
