// One charging point as a card or as a row. Its id stands alone in the link to its page.
import { html, nothing } from "/web/shared/lit.js";
import { ago, dateTime, euroRate, euros, kw, kwh } from "/web/shared/formats.js";
import { icons, stateMark } from "/web/shared/icons.js";

/** Marks of what is unusual about a charging point. */
export function marks({ view }) {
  const mark = (icon, text, kind) => html`<span class="mark" data-kind=${kind}>${icon}${text}</span>`;
  return html`${view.stopped ? mark(icons.stopped, "stopped", "warn") : nothing}
  ${view.breaker === "CLOSED" ? nothing : mark(icons.warn, `breaker ${view.breaker.toLowerCase().replace("_", " ")}`, "warn")}
  ${view.unconfirmed ? mark(icons.warn, `${view.unconfirmed} unconfirmed`, "warn") : nothing}`;
}

/** How long it has been so; nothing where that is not known. */
export function since({ view }) {
  if (!view.state_since) return nothing;
  return html`<time datetime=${view.state_since} title="since ${dateTime(view.state_since)}">${ago(view.state_since)}</time>`;
}

/** What it does, or why it does nothing, in one line. */
function doing({ view }) {
  if (view.current_session) {
    return html`${icons.bolt}<a href="#/session/${view.current_session}">${view.current_driver ?? "a driver"}</a>`;
  }
  if (view.available) return html`<span>free</span>`;
  return html`<span class="quiet">${view.unavailable_reason || "not available"}</span>`;
}

const name = ({ id }) => html`<a class="cp-id" id="cp-${id}" href="#/cp/${id}">${id}</a>`;

export function pointCard(point, at, { strips, actions, total }) {
  const { view, meter } = point;
  return html`<li class="card" data-state=${view.state} aria-setsize=${total} aria-posinset=${at + 1}>
    <div class="head">${name(point)} ${stateMark(view.state)}</div>
    <p class="second"><span class="where quiet">${view.location ?? "\u00a0"}</span><span class="marks">${marks(point)}</span></p>
    <p class="doing">${doing(point)}</p>
    <dl class="meter">
      ${meter
        ? html`<div><dt>Power</dt><dd>${kw(meter.kw)}</dd></div>
            <div><dt>Energy</dt><dd>${kwh(meter.kwh)}</dd></div>
            <div><dt>Money</dt><dd>${euros(meter.euros)}</dd></div>`
        : html`<div><dt>Power</dt><dd class="quiet">${view.kw_rate === null ? "–" : `up to ${kw(view.kw_rate)}`}</dd></div>
            <div><dt>Price</dt><dd class="quiet">${euroRate(view.euro_rate)}</dd></div>`}
    </dl>
    ${strips.draw(point)}
    <div class="foot"><span class="since">${since(point)}</span>${actions.buttons(point, "little")}</div>
  </li>`;
}

export function pointRow(point, at, { strips, actions, total }) {
  const { view, meter } = point;
  const number = (text) => html`<span class="number">${text}</span>`;
  return html`<li class="row" data-state=${view.state} aria-setsize=${total} aria-posinset=${at + 1}>
    <span class="name">${name(point)}<span class="where quiet">${view.location ?? ""}</span></span>
    <span>${stateMark(view.state)}</span>
    <span class="doing">${doing(point)} ${marks(point)}</span>
    ${number(meter ? kw(meter.kw) : "")} ${number(meter ? kwh(meter.kwh) : "")}
    ${number(meter ? euros(meter.euros) : "")} ${strips.draw(point)}
    <span class="number since">${since(point)}</span>${actions.buttons(point, "little")}
  </li>`;
}
