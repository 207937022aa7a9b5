// The sessions that run now.
import { html, nothing, repeat } from "/web/shared/lit.js";
import { count, euros, kw, kwh } from "/web/shared/formats.js";

const SHOWN_MAX = 50;

export function activeSessions(/** @type {import("/web/central/model.js").NetworkModel} */ model) {
  const { count: total, first } = model.charging(SHOWN_MAX);
  return html`<section class="panel charging" aria-label="Active sessions">
    <header>
      <h2>Active sessions <span class="quiet">${count(total)}</span></h2>
      <a class="small" href="#/sessions?status=ACTIVE">All sessions</a>
    </header>
    <ul class="session-lines">
      ${repeat(first, ({ view }) => view.current_session, line)}
    </ul>
    ${total ? nothing : html`<p class="empty">Nobody charges at the moment.</p>`}
    ${total > SHOWN_MAX ? html`<p class="empty">and ${count(total - SHOWN_MAX)} more</p>` : nothing}
  </section>`;
}

function line({ id, view, meter }) {
  const amounts = meter
    ? html`<span class="number">${kw(meter.kw)}</span>
        <span class="number quiet">${kwh(meter.kwh)} · ${euros(meter.euros)}</span>`
    : html`<span class="quiet">no reading yet</span>`;
  return html`<li>
    <a href="#/session/${view.current_session}"><b>${view.current_driver ?? "?"}</b> at ${id}</a>
    <span class="amounts">${amounts}</span>
  </li>`;
}
