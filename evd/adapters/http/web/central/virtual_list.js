// A long list of which only what is on the screen is in the document. The window scrolls it.
import { html, repeat } from "/web/shared/lit.js";

// More than a screen beside the screen, so that a fast hand sees no empty place.
const BESIDE_PX = 500;

/**
 * @typedef {object} Shape
 * @property {number} height of a row, with the gap behind it
 * @property {number} columns
 */

export class VirtualList {
  #draw;
  #box = null;
  #shape = { height: 1, columns: 1 };
  #length = 0;
  #first = 0;
  #end = 0;
  #watch;
  #onScroll = () => this.#look();

  /** @param {() => void} draw called where another part has come onto the screen */
  constructor(draw) {
    this.#draw = draw;
    addEventListener("scroll", this.#onScroll, { passive: true });
    this.#watch = new ResizeObserver(() => this.#look());
  }

  end() {
    removeEventListener("scroll", this.#onScroll);
    this.#watch.disconnect();
  }

  /** The part of `items` that is on the screen, each drawn by `one(item, index)`. */
  template(items, shape, key, one) {
    this.#shape = shape;
    const { height, columns } = shape;
    this.#length = items.length;
    [this.#first, this.#end] = this.#measure();
    const shown = items.slice(this.#first, this.#end);
    const total = Math.ceil(items.length / columns) * height;
    const top = (this.#first / columns) * height;
    const first = this.#first;
    return html`<div class="virtual" .style=${`height:${total}px`}>
      <ul class="window" .style=${`transform:translateY(${top}px);--columns:${columns};--row:${height}px`}>
        ${repeat(shown, key, (item, at) => one(item, first + at))}
      </ul>
    </div>`;
  }

  /** Take the element in which the list was drawn; the first time its place is not known yet. */
  place(box) {
    if (box === this.#box) return;
    if (this.#box) this.#watch.unobserve(this.#box);
    this.#box = box;
    if (box) this.#watch.observe(box);
    this.#look();
  }

  /** The first item on the screen and the one behind the last. */
  #measure() {
    const { height, columns } = this.#shape;
    const top = this.#box ? -this.#box.getBoundingClientRect().top : 0;
    const rows = Math.ceil(this.#length / columns);
    const first = Math.max(0, Math.min(Math.floor((top - BESIDE_PX) / height), rows - 1));
    const end = Math.max(0, Math.ceil((top + innerHeight + BESIDE_PX) / height));
    return [first * columns, Math.min(this.#length, end * columns)];
  }

  #look() {
    if (!this.#box) return;
    const [first, end] = this.#measure();
    if (first !== this.#first || end !== this.#end) this.#draw();
  }
}
