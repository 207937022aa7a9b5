// The charging points: found, sorted, filtered, as cards or as rows.
import { html, live, nothing, render } from "/web/shared/lit.js";
import { count } from "/web/shared/formats.js";
import { drawWithFocus } from "/web/shared/focus.js";
import { icons } from "/web/shared/icons.js";
import { SORTS, arrange } from "/web/central/arrange.js";
import { pointCard, pointRow } from "/web/central/point_card.js";
import { Strips } from "/web/central/strips.js";
import { VirtualList } from "/web/central/virtual_list.js";

const FILTERS = {
  all: "All",
  ON: "ON",
  BROKEN: "BROKEN",
  DISCONNECTED: "DISCONNECTED",
  charging: "Charging",
  free: "Free",
  stopped: "Stopped",
};
// Sizes grow with the letters of who has chosen larger ones.
const REM_PX = parseFloat(getComputedStyle(document.documentElement).fontSize);
const CARD_PX = Math.ceil(13.25 * REM_PX);
const CARD_WIDTH_PX = 19 * REM_PX;
const CARD_GAP_PX = 0.75 * REM_PX;
const ROW_PX = Math.ceil(3.5 * REM_PX);
const NARROW_ROW_PX = Math.ceil(7.4 * REM_PX);
// As points.css has it.
const NARROW = matchMedia("(max-width: 56em)");
// Many points change at once: they are put in order again so seldom that rows can be read.
const ORDER_MS = 500;
const MANY = 500;
const KEY = "evd-points";

const asked = { search: "", filter: "all", sort: "name", look: localStorage.getItem(KEY) ?? "cards" };

export class PointList {
  #model;
  #actions;
  #element = null;
  #virtual;
  #strips;
  #order = [];
  #orderedAt = 0;
  #version = -1;
  #width = 0;

  constructor(model, actions) {
    this.#model = model;
    this.#actions = actions;
    this.#virtual = new VirtualList(() => this.draw());
    this.#strips = new Strips(() => this.draw());
  }

  end() {
    this.#virtual.end();
    this.#strips.end();
  }

  filterBy(filter) {
    this.#ask({ filter: asked.filter === filter ? "all" : filter, search: "" });
  }

  /** Draw into `element`, by itself: a scroll draws nothing else of the page again. */
  draw(element = this.#element) {
    if (!element) return;
    this.#element = element;
    const points = this.#ordered();
    drawWithFocus(() => this.#render(element, points));
    const box = element.querySelector(".virtual-place");
    this.#width = box.clientWidth;
    this.#virtual.place(box);
  }

  #render(element, points) {
    render(
      html`${this.#toolbar(points.length)}
        <div class="virtual-place" data-look=${asked.look}>
          ${asked.look === "rows" && points.length ? HEAD : nothing}
          ${points.length ? this.#listed(points) : this.#empty(this.#model.heardAt !== null)}
        </div>`,
      element,
    );
  }

  #listed(points) {
    const cards = asked.look === "cards";
    const width = this.#width || document.documentElement.clientWidth - 40;
    const columns = cards ? Math.max(1, Math.floor((width + CARD_GAP_PX) / (CARD_WIDTH_PX + CARD_GAP_PX))) : 1;
    const height = cards ? CARD_PX : NARROW.matches ? NARROW_ROW_PX : ROW_PX;
    const one = cards ? pointCard : pointRow;
    const tools = { strips: this.#strips, actions: this.#actions, total: points.length };
    return this.#virtual.template(
      points,
      { height, columns },
      ({ id }) => id,
      (point, at) => one(this.#model.points.get(point.id) ?? point, at, tools),
    );
  }

  #ordered() {
    const { points, version } = this.#model;
    const many = points.size > MANY;
    const now = performance.now();
    if (version !== this.#version && (!many || now - this.#orderedAt > ORDER_MS || !this.#order.length)) {
      this.#order = arrange(points.values(), asked);
      this.#orderedAt = now;
      this.#version = version;
    }
    return this.#order;
  }

  #ask(more) {
    Object.assign(asked, more);
    localStorage.setItem(KEY, asked.look);
    this.#version = -1;
    this.#orderedAt = 0;
    this.draw();
  }

  #toolbar(found) {
    const total = this.#model.points.size;
    const take = (name) => (event) => this.#ask({ [name]: event.target.value });
    const option = (chosen) => ([name, words]) =>
      html`<option value=${name} ?selected=${name === chosen}>${words}</option>`;
    const look = (name, words, icon) => html`<button
      aria-pressed=${asked.look === name}
      aria-label=${words}
      title=${words}
      @click=${() => this.#ask({ look: name })}
    >
      ${icon}
    </button>`;
    return html`<div class="toolbar">
      <h2>Charging points <span class="quiet" aria-live="polite">${found === total ? count(total) : `${count(found)} of ${count(total)}`}</span></h2>
      <span class="search">
        ${icons.search}
        <input class="field" type="search" placeholder="Search name, place, driver" aria-label="Search charging points"
          .value=${live(asked.search)} @input=${take("search")} />
      </span>
      <select class="field" aria-label="Show" @change=${take("filter")} .value=${live(asked.filter)}>
        ${Object.entries(FILTERS).map(option(asked.filter))}
      </select>
      <select class="field" aria-label="Sort by" @change=${take("sort")} .value=${live(asked.sort)}>
        ${Object.entries(SORTS).map(option(asked.sort))}
      </select>
      <span class="segments" role="group" aria-label="Look">
        ${look("cards", "Cards", icons.cards)} ${look("rows", "Rows", icons.rows)}
      </span>
    </div>`;
  }

  #empty(ready) {
    if (!ready) return html`<p class="empty">Waiting for the first news of the network…</p>`;
    if (this.#model.points.size === 0) {
      return html`<p class="empty">No charging point has registered yet. Each one appears here by itself once
        its monitor is connected.</p>`;
    }
    const clear = () => this.#ask({ search: "", filter: "all" });
    return html`<p class="empty">No charging point is like that.
      <button class="button little" @click=${clear}>Show all</button></p>`;
  }
}

const HEAD = html`<div class="row-head" aria-hidden="true">
  <span>Name</span><span>State</span><span>Driver</span><span class="number">Power</span>
  <span class="number">Energy</span><span class="number">Money</span><span>Last 24 h</span>
  <span class="number">Since</span><span></span>
</div>`;
