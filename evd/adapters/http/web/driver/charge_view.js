// The first page: the session that runs, what was asked for, and where one could charge.
import { html, nothing, render } from "/web/shared/lit.js";
import { count } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { PointList } from "/web/driver/point_list.js";
import { CourseChart, sessionCard } from "/web/driver/session_card.js";
import { newsInWords, placeOf, sentence } from "/web/driver/words.js";

const LOOKING = { connecting: "Connecting…", live: "Looking for charging points…", lost: "Nothing is known without a connection" };

export class ChargeView {
  #model;
  #actions;
  #list;
  #changed;
  #course = new CourseChart();

  constructor(model, { actions, changed }) {
    this.#model = model;
    this.#actions = actions;
    this.#changed = changed;
    this.#list = new PointList(model, actions, changed);
  }

  end() {
    this.#course.end();
  }

  draw(root) {
    const { current } = this.#model;
    render(
      html`<h1 class="unseen">Charge</h1>
        <div class="columns">
          <div class="mine">
            ${current ? sessionCard(this.#model, current, this.#actions) : nothing}
            ${this.#model.waiting.map((request) => this.#waiting(request))}
            <div role="status">${this.#ended()}</div>
            ${this.#model.isIdle ? this.#idle() : nothing}
          </div>
          ${this.#list.template()}
        </div>`,
      root,
    );
    this.#course.draw(root.querySelector(".course"), current?.curve ?? [], "The first reading comes in a moment");
  }

  #waiting(request) {
    const asked = request.status === "PENDING";
    const text = request.ending ? "Being cancelled…" : asked ? "Waiting for an answer…" : "The session begins…";
    return html`<section class="waiting" aria-label="Open request">
      <span class="spinner"></span>
      <div>
        <h2>${asked ? "Asking for" : "Accepted at"} ${placeOf(request)}</h2>
        <p class="quiet" role="status">${sentence(request.reason) || text}</p>
      </div>
      <button class="button" ?disabled=${request.ending} @click=${() => this.#actions.cancel(request)}>Cancel</button>
    </section>`;
  }

  /** The end of the newest request that ended while the page was open, until it is put away. */
  #ended() {
    const one = this.#model.ended;
    if (one === null || this.#model.current) return nothing;
    const { title, text, kind } = newsInWords(one);
    const close = () => {
      this.#model.ended = null;
      this.#changed();
    };
    return html`<section class="ended" data-kind=${kind} aria-label="Last request">
      <span class="sign">${kind === "done" ? icons.on : icons.broken}</span>
      <div>
        <h2>${title}</h2>
        <p>${text}</p>
        ${one.session_id ? html`<a href="#/session/${one.session_id}">Show the bill</a>` : nothing}
      </div>
      <button class="button bare square" aria-label="Dismiss" @click=${close}>${icons.close}</button>
    </section>`;
  }

  #idle() {
    const { points, sorted } = this.#model;
    const free = sorted.filter(({ status }) => status === "FREE").length;
    const text =
      points === null
        ? LOOKING[this.#model.status]
        : `${count(free)} of ${count(points.size)} charging points ${free === 1 ? "is" : "are"} free`;
    return html`<section class="idle" aria-label="Charge anywhere">
      <div>
        <h2>Ready to charge</h2>
        <p>${text}</p>
      </div>
      <button class="button main large" ?disabled=${free === 0 || !this.#model.mayAsk} @click=${() => this.#actions.charge(null)}>
        ${icons.bolt}Charge anywhere
      </button>
    </section>`;
  }
}
