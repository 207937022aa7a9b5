// What needs a person now, most urgent first, with what to do. Each is gone when it is over.
import { html, nothing, repeat } from "/web/shared/lit.js";
import { ago, count, dateTime } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";

const SHOWN_MAX = 6;
const SEVERE = new Set(["database", "broker", "broken", "holding_back", "monitors_full"]);
const ICONS = { disconnected: icons.off, breaker: icons.warn, unconfirmed: icons.warn };

let all = false;

export function alerts(/** @type {import("/web/central/model.js").NetworkModel} */ model) {
  const found = model.alerts;
  const shown = all ? found : found.slice(0, SHOWN_MAX);
  const more = found.length - SHOWN_MAX;
  const rest = model.alertCount - found.length;
  const turn = () => {
    all = !all;
    model.changed();
  };
  return html`<section class="alerts" role="region" aria-label="Alerts" ?hidden=${!found.length}>
    <h2 class="unseen" aria-live="polite">${model.alertCount === 1 ? "1 alert" : `${count(model.alertCount)} alerts`}</h2>
    <ul>
      ${repeat(shown, ({ kind, cp_id }) => `${kind} ${cp_id}`, alert)}
    </ul>
    ${more > 0
      ? html`<button class="button bare little" @click=${turn}>
          ${all ? "Show fewer" : `Show ${count(more)} more`}
        </button>`
      : nothing}
    ${all && rest ? html`<span class="quiet small">and ${count(rest)} others</span>` : nothing}
  </section>`;
}

function alert({ kind, cp_id, text, advice, since }) {
  const body = html`<b>${text}</b> <span class="quiet">${advice}</span>`;
  return html`<li class="alert" data-severe=${SEVERE.has(kind)}>
    ${ICONS[kind] ?? icons.broken}
    <p>${cp_id ? html`<a href="#/cp/${cp_id}">${body}</a>` : body}</p>
    <time datetime=${since} title=${dateTime(since)}>for ${ago(since)}</time>
  </li>`;
}
