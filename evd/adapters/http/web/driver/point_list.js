// The charging points as cards, searched and narrowed; long lists are drawn as far as they are read.
import { html, live, nothing, repeat } from "/web/shared/lit.js";
import { count, euroRate, kw } from "/web/shared/formats.js";
import { icons, stateMark } from "/web/shared/icons.js";
import { marks } from "/web/driver/marks.js";

const SHOWN = 60;
const POWERS_KW = [0, 11, 22, 50, 150];
const ORDERS = {
  near: ["Free first", null],
  price: ["Lowest price", (one, other) => (one.euro_rate ?? Infinity) - (other.euro_rate ?? Infinity)],
  power: ["Most power", (one, other) => (other.kw_rate ?? -1) - (one.kw_rate ?? -1)],
};

export class PointList {
  #model;
  #actions;
  #changed;
  #search = "";
  #onlyFree = false;
  #leastKw = 0;
  #order = "near";
  #most = SHOWN;

  constructor(model, actions, changed) {
    this.#model = model;
    this.#actions = actions;
    this.#changed = changed;
  }

  template() {
    const found = this.#found();
    return html`<section class="points" aria-labelledby="points">
      <div class="head">
        <h2 id="points">Charging points</h2>
        <span class="quiet small" role="status">${this.#counted(found)}</span>
      </div>
      ${this.#filters()}
      <ul class="cards" ?data-old=${this.#model.status === "lost"}>
        ${repeat(found.slice(0, this.#most), ({ cp_id: cpId }) => cpId, (point) => this.#card(point))}
      </ul>
      ${found.length > this.#most ? this.#more(found.length - this.#most) : nothing}
      ${found.length === 0 ? this.#nothing() : nothing}
    </section>`;
  }

  #found() {
    const words = this.#search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.#model.sorted.filter(
      (point) =>
        (!this.#onlyFree || point.status === "FREE") &&
        (this.#leastKw === 0 || (point.kw_rate ?? 0) >= this.#leastKw) &&
        words.every((word) => `${point.cp_id} ${point.location ?? ""}`.toLowerCase().includes(word)),
    );
    const order = ORDERS[this.#order][1];
    return order ? found.sort(order) : found;
  }

  #counted(found) {
    const { points } = this.#model;
    if (points === null) return "";
    return found.length === points.size ? count(points.size) : `${count(found.length)} of ${count(points.size)}`;
  }

  #filters() {
    const set = (change) => {
      change();
      this.#most = SHOWN;
      this.#changed();
    };
    const free = (value, name) =>
      html`<button aria-pressed=${this.#onlyFree === value} @click=${() => set(() => (this.#onlyFree = value))}>${name}</button>`;
    return html`<search class="filters">
      <label class="find">
        ${icons.search}<span class="unseen">Search charging points</span>
        <input class="field" type="search" placeholder="Name or place" autocomplete="off" .value=${live(this.#search)}
          @input=${(event) => set(() => (this.#search = event.target.value))} />
      </label>
      <div class="segments" role="group" aria-label="Which">${free(false, "All")} ${free(true, "Free")}</div>
      ${select("Power", POWERS_KW.map((each) => [each, each ? `From ${each} kW` : "Any kW"]), this.#leastKw, (value) =>
        set(() => (this.#leastKw = Number(value))),
      )}
      ${select("Order", Object.entries(ORDERS).map(([key, [name]]) => [key, name]), this.#order, (value) =>
        set(() => (this.#order = value)),
      )}
    </search>`;
  }

  #card(point) {
    const mine = this.#model.current?.cp_id === point.cp_id;
    return html`<li class="point" data-state=${point.status}>
      <a class="open" href="#/cp/${point.cp_id}">${point.cp_id}</a>
      ${mine ? html`<span class="state" data-state="OCCUPIED">${icons.bolt}<span>OCCUPIED</span></span>` : stateMark(point.status)}
      <p class="place quiet">${point.location ? html`${marks.place}<span>${point.location}</span>` : nothing}</p>
      <p class="terms">${termsOf(point)}</p>
      ${this.#action(point, mine)}
    </li>`;
  }

  #action(point, mine) {
    if (mine) return html`<span class="yours">Your session</span>`;
    if (point.status !== "FREE" || !this.#model.mayAsk) return nothing;
    return html`<button class="button main" aria-label="Charge at ${point.cp_id}" @click=${() => this.#actions.charge(point)}>
      Charge
    </button>`;
  }

  #more(rest) {
    const press = () => {
      this.#most += SHOWN;
      this.#changed();
    };
    return html`<button class="button more" @click=${press}>Show more (${count(rest)})</button>`;
  }

  #nothing() {
    const { points } = this.#model;
    if (points === null) return nothing;
    if (points.size === 0) return html`<p class="empty">No charging point is known yet.</p>`;
    return html`<p class="empty">No charging point is like that.</p>`;
  }
}

/** Power and price, as far as the engine has told them. */
function termsOf({ kw_rate: power, euro_rate: price }) {
  if (power === null && price === null) return html`<span>Price not known yet</span>`;
  return html`<b>${kw(power)}</b><span>${euroRate(price)}</span>`;
}

function select(label, options, chosen, change) {
  return html`<label>
    <span class="unseen">${label}</span>
    <select class="field" .value=${live(String(chosen))} @change=${(event) => change(event.target.value)}>
      ${options.map(([value, name]) => html`<option value=${value} ?selected=${value === chosen}>${name}</option>`)}
    </select>
  </label>`;
}
