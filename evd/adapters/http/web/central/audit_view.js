// The audit: who asked for what, from where, and whether it was done.
import { html, nothing, render } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { dateTime } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { adminHead, adminTable } from "/web/central/admin_head.js";
import { textField, timeField } from "/web/central/fields.js";
import { Filters, Listing } from "/web/central/listing.js";

const NAMES = ["cp_id", "since", "until"];
const COLUMNS = ["Time", "Name", "Role", "Address", "Action", "Object", "Outcome"];
const OUTCOMES = { done: [icons.on, "good"], refused: [icons.close, "warn"], failed: [icons.broken, "bad"] };

export class AuditView {
  title = "Audit";
  #element;
  #listing;
  #filters;

  constructor(element, _model, { query }) {
    this.#element = element;
    this.#listing = new Listing("/audit", "audit", (row) => row.id, () => this.draw());
    this.#filters = new Filters("/audit", NAMES, query, (values) => this.#listing.load(values));
    this.#listing.load(this.#filters.values);
  }

  end() {
    this.#listing.end();
  }

  draw() {
    const { cp_id, since, until } = this.#filters.values;
    const take = this.#filters.taker;
    const listing = this.#listing;
    const again = html`<button class="button" @click=${() => listing.load(this.#filters.values)}>Newest</button>`;
    render(
      html`${adminHead("/audit", again)}
        <div class="filter-bar">
          ${textField("Charging point", cp_id, take("cp_id"))}
          ${timeField("After", since, take("since"))} ${timeField("Before", until, take("until"))}
        </div>
        <section class="panel">
          ${listing.rows.length ? adminTable("Audit", columns(), listing.rows.map(line)) : nothing}
          ${listing.foot("Nobody has asked for anything of that kind.")}
        </section>`,
      this.#element,
    );
  }
}

/** An operator is told no addresses. */
const columns = () => (access.may("administer") ? COLUMNS : COLUMNS.filter((name) => name !== "Address"));

function line({ ts, who, role, address, action, object, outcome }) {
  const [icon, mood] = OUTCOMES[outcome] ?? [icons.warn, "plain"];
  return html`<tr>
    <td><time datetime=${ts}>${dateTime(ts)}</time></td>
    <td>${who || html`<span class="quiet">nobody known</span>`}</td>
    <td class="quiet">${role ?? ""}</td>
    ${access.may("administer") ? html`<td class="quiet">${address ?? ""}</td>` : nothing}
    <td>${action}</td>
    <td class="reason">${object ?? ""}</td>
    <td><span class="kind" data-mood=${mood}>${icon}${outcome}</span></td>
  </tr>`;
}
