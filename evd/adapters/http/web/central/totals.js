// The figures of the whole network, one glance wide.
import { html, nothing } from "/web/shared/lit.js";
import { access } from "/web/shared/access.js";
import { count, euros, kw, kwh } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";

const STATES = [
  ["ON", icons.on],
  ["BROKEN", icons.broken],
  ["DISCONNECTED", icons.off],
];

/** `filter` is called with a state that was pressed. */
export function totals(/** @type {import("/web/central/model.js").NetworkModel} */ model, filter) {
  const { states, network } = model;
  const today = network?.today ?? {};
  const state = ([name, icon]) => html`<button
    class="tile"
    data-state=${name}
    ?data-none=${!states[name]}
    title="Show those that are ${name}"
    @click=${() => filter(name)}
  >
    <span class="name">${icon}${name}</span><span class="value">${count(states[name])}</span>
  </button>`;
  const figure = (name, value, note = "") => html`<div class="tile">
    <span class="name">${name}</span><span class="value">${value}</span>
    ${note ? html`<span class="note">${note}</span>` : nothing}
  </div>`;
  const requests = model.activeRequests;
  return html`<section class="totals" aria-label="Totals">
    ${STATES.map(state)}
    ${figure("Power now", kw(model.kw), requests === 1 ? "1 open request" : `${count(requests)} open requests`)}
    ${access.may("see_health")
      ? html`${figure("Sessions today", count(today.sessions), "ended since 0:00 UTC")}
          ${figure("Energy today", kwh(today.kwh))} ${figure("Billed today", euros(today.euros))}`
      : nothing}
  </section>`;
}
