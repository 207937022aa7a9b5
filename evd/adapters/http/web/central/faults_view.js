// All faults and recoveries, with filters.
import { html, render } from "/web/shared/lit.js";
import { dateTime } from "/web/shared/formats.js";
import { KINDS } from "/web/central/event_log.js";
import { textField, timeField } from "/web/central/fields.js";
import { Filters, Listing } from "/web/central/listing.js";

const FOLLOWED = ["FAULT", "RECOVERY", "DISCONNECTED", "RECONNECTED"];
const NAMES = ["cp_id", "since", "until"];

export class FaultsView {
  title = "Faults";
  #element;
  #model;
  #listing;
  #filters;

  constructor(element, model, { query }) {
    this.#element = element;
    this.#model = model;
    this.#listing = new Listing("/faults", "faults", (row) => row.id, () => this.draw());
    this.#filters = new Filters("/faults", NAMES, query, (values) => this.#listing.load(values));
    this.#listing.load(this.#filters.values);
  }

  end() {
    this.#listing.end();
  }

  draw() {
    this.#listing.follow(this.#model.signOfKinds(FOLLOWED));
    const { cp_id, since, until } = this.#filters.values;
    const take = this.#filters.taker;
    const { rows } = this.#listing;
    render(
      html`<div class="page-head"><h1>Faults and recoveries</h1></div>
        <div class="filter-bar">
          ${textField("Charging point", cp_id, take("cp_id"))}
          ${timeField("After", since, take("since"))} ${timeField("Before", until, take("until"))}
        </div>
        <section class="panel">
          ${rows.length ? table(rows) : ""} ${this.#listing.foot("Nothing of that kind has happened.")}
        </section>`,
      this.#element,
    );
  }
}

function table(rows) {
  const line = ({ cp_id, event_type, reason, timestamp }) => {
    const [words, icon, mood] = KINDS[event_type] ?? [event_type, "", "plain"];
    return html`<tr>
      <td><time datetime=${timestamp}>${dateTime(timestamp)}</time></td>
      <td><a href="#/cp/${cp_id}?at=${timestamp}">${cp_id}</a></td>
      <td><span class="kind" data-mood=${mood}>${icon}${words}</span></td>
      <td class="quiet reason">${reason}</td>
    </tr>`;
  };
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Faults and recoveries"><table class="table">
    <thead><tr><th scope="col">Time</th><th scope="col">Charging point</th><th scope="col">Event</th><th scope="col">Reason</th></tr></thead>
    <tbody>${rows.map(line)}</tbody>
  </table></div>`;
}
