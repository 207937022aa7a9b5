// A chart of one value over time, by uPlot, in the colours of the theme.
import uPlot from "/web/vendor/uplot/uPlot.esm.js";
import { clockTime } from "/web/shared/formats.js";

const HEIGHT_PX = 190;
// Steps of an axis of seconds that people count in.
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/**
 * @typedef {object} ChartForm
 * @property {string} label what the value is, for a screen reader
 * @property {(value: number) => string} value a value in words
 * @property {(x: number) => string} moment an x in words
 * @property {boolean} [clock] x is a time in seconds since 1970, else seconds from a start
 * @property {boolean} [stepped] a value holds until the next one
 * @property {number} [height]
 * @property {string} [empty] shown while there is nothing to draw
 */

export class Chart {
  #element;
  #form;
  #plot = null;
  #data = [[], []];
  #span = null;
  #watch;
  #note = document.createElement("p");
  #reading = document.createElement("div");
  #redraw = () => this.#make();

  constructor(/** @type {HTMLElement} */ element, /** @type {ChartForm} */ form) {
    this.#element = element;
    this.#form = form;
    element.classList.add("chart");
    element.setAttribute("role", "img");
    this.#note.className = "note";
    this.#reading.className = "reading";
    this.#reading.hidden = true;
    element.append(this.#note, this.#reading);
    this.#watch = new ResizeObserver(() => this.#fit());
    this.#watch.observe(element);
    document.addEventListener("themechange", this.#redraw);
    this.#make();
  }

  /** Draw these values; `span` is the least and the greatest x, where they are fixed. */
  set(xs, ys, span = null) {
    this.#data = [xs, ys];
    this.#span = span;
    this.#plot?.setData(this.#data);
    this.#describe();
  }

  end() {
    this.#watch.disconnect();
    document.removeEventListener("themechange", this.#redraw);
    this.#plot?.destroy();
    this.#plot = null;
  }

  #describe() {
    const { label, value, empty } = this.#form;
    const values = this.#data[1].filter((each) => each !== null);
    this.#note.textContent = values.length ? "" : empty ?? "Nothing to show yet";
    const text = values.length
      ? `${label}: now ${value(values.at(-1))}, least ${value(Math.min(...values))}, most ${value(Math.max(...values))}`
      : `${label}: nothing yet`;
    this.#element.setAttribute("aria-label", text);
  }

  #fit() {
    const width = this.#element.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) {
      this.#plot.setSize({ width, height: this.#plot.height });
    }
  }

  #make() {
    this.#plot?.destroy();
    const ink = colour(this.#element, "--quiet");
    const line = colour(this.#element, "--line");
    const accent = colour(this.#element, "--accent");
    const axis = { stroke: ink, font: "11px system-ui, sans-serif", ticks: { show: false } };
    const { clock = true, height = HEIGHT_PX, moment, stepped = false } = this.#form;
    const paths = stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {};
    const options = {
      width: this.#element.clientWidth || 300,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: clock, range: (_, least, most) => this.#span ?? [least, most] },
        y: { range: (_, __, most) => [0, Math.max(1, most * 1.15)] },
      },
      series: [{}, { stroke: accent, width: 1.75, fill: faded(accent), points: { show: false }, ...paths }],
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 26, values: clockValues(clock, moment), ...(clock ? {} : { incrs: STEPS_S }) },
        { ...axis, grid: { stroke: line, width: 1 }, size: 46, space: 34 },
      ],
      hooks: { setCursor: [(plot) => this.#point(plot)] },
    };
    this.#plot = new uPlot(options, this.#data, this.#element);
    this.#describe();
  }

  #point(plot) {
    const at = plot.cursor.idx;
    const value = at === null || at === undefined ? null : this.#data[1][at];
    this.#reading.hidden = value === null || value === undefined || plot.cursor.left < 0;
    if (this.#reading.hidden) return;
    this.#reading.textContent = `${this.#form.moment(this.#data[0][at])}  ${this.#form.value(value)}`;
    const left = plot.cursor.left + plot.over.offsetLeft + 10;
    const most = this.#element.clientWidth - this.#reading.offsetWidth - 4;
    this.#reading.style.left = `${Math.max(0, Math.min(left, most))}px`;
  }
}

const clockValues = (clock, moment) =>
  clock ? (_, splits) => splits.map((each) => clockTime(each * 1000)) : (_, splits) => splits.map(moment);

/** A colour of the theme as the browser works it out: a canvas knows no custom property. */
function colour(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function faded(rgb) {
  return rgb.replace("rgb(", "rgba(").replace(")", ", 0.14)");
}
