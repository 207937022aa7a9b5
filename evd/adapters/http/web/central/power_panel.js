// Power over the last minutes, as the feed tells it, and over the last day, as it is stored.
import { html, render } from "/web/shared/lit.js";
import { get } from "/web/shared/calls.js";
import { Chart } from "/web/shared/chart.js";
import { clockSeconds, kw, shortDateTime } from "/web/shared/formats.js";

const MINUTES = 15;
const DAY_MS = 24 * 3600_000;
const DAY_FRESH_MS = 60_000;
const SPANS = { live: `${MINUTES} min`, day: "24 h" };

let span = "live";

export class PowerPanel {
  #element;
  #chart;
  #live;
  #filled = 0;
  #cpId;
  #day = null;
  #drawn = "";
  #dayAskedAt = -Infinity;
  #calls = new AbortController();

  /** @param {{live: import("/web/central/power_series.js").PowerSeries, cpId?: string}} of */
  constructor(element, { live, cpId = null }) {
    this.#element = element;
    this.#live = live;
    this.#cpId = cpId;
    element.classList.add("panel", "power");
    this.#frame();
    this.#chart = new Chart(element.querySelector(".power-chart"), {
      label: cpId ? `Power of ${cpId}` : "Power of the network",
      value: kw,
      moment: (x) => (span === "live" ? clockSeconds(x * 1000) : shortDateTime(x * 1000)),
      empty: "No power has been drawn",
      stepped: true,
    });
  }

  end() {
    this.#calls.abort();
    this.#chart.end();
  }

  draw() {
    const now = Math.floor(Date.now() / 1000);
    if (this.#filled !== this.#live.begun) this.#fill();
    // A chart is the costliest part of the page.
    if (this.#drawn === `${span} ${now}`) return;
    this.#drawn = `${span} ${now}`;
    if (span === "live") {
      const { seconds, kw: values } = this.#live;
      this.#chart.set(seconds, values, [now - MINUTES * 60, now]);
      return;
    }
    if (performance.now() - this.#dayAskedAt > DAY_FRESH_MS) this.#ask();
    const rows = this.#day ?? [];
    const times = [...rows.map(({ ts }) => Date.parse(ts) / 1000), now];
    const values = [...rows.map((row) => row.kw), this.#live.kw.at(-1) ?? null];
    this.#chart.set(times, values, [now - DAY_MS / 1000, now]);
  }

  #frame() {
    const choose = (name) => () => {
      span = name;
      this.#frame();
      this.draw();
    };
    const button = ([name, words]) =>
      html`<button aria-pressed=${span === name} @click=${choose(name)}>${words}</button>`;
    render(
      html`<header>
          <h2>Power <span class="quiet">kW</span></h2>
          <span class="segments" role="group" aria-label="Time">${Object.entries(SPANS).map(button)}</span>
        </header>
        <div class="power-chart"></div>`,
      this.#element,
    );
  }

  async #ask() {
    this.#dayAskedAt = performance.now();
    try {
      const found = await get("/power", { cp_id: this.#cpId }, this.#calls.signal);
      this.#day = found.power;
      this.#drawn = "";
      this.draw();
    } catch {
      // The chart stays as it was; the next draw after a minute asks again.
    }
  }

  /** Ask for what was not heard. */
  async #fill() {
    this.#filled = this.#live.begun;
    const since = new Date(Date.now() - MINUTES * 60_000).toISOString();
    try {
      const { power } = await get("/power", { cp_id: this.#cpId, since }, this.#calls.signal);
      this.#live.fill(power.map(({ ts }) => Date.parse(ts) / 1000), power.map((row) => row.kw));
      this.#drawn = "";
      this.draw();
    } catch {
      // Without it the chart begins now.
    }
  }
}
