// The driver's notifications, and whether the browser tells of them as well.
import { html, render, repeat } from "/web/shared/lit.js";
import { when } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { marks } from "/web/driver/marks.js";
import { keyOf } from "/web/driver/model.js";
import { notifying, turnNotifications } from "/web/driver/notify.js";
import { newsInWords } from "/web/driver/words.js";

const SIGNS = { done: icons.on, failed: icons.broken, plain: icons.bolt };
const HINTS = {
  unsupported: "This browser shows notifications only of pages that it loaded by https, or from this machine.",
  denied: "This browser was told to show no notifications of this page. Its settings can change that.",
  on: "The browser tells you of news while this page is open behind another one.",
  off: "Let the browser tell you when a session begins, ends or has trouble.",
};

export class NewsView {
  #model;
  #changed;

  constructor(model, { changed }) {
    this.#model = model;
    this.#changed = changed;
  }

  end() {}

  draw(root) {
    const { news } = this.#model;
    render(
      html`<h1 id="news">Notifications</h1>
        ${this.#switch()}
        <div role="log" aria-labelledby="news">
          <ul class="news">
            ${repeat(news, keyOf, row)}
          </ul>
        </div>
        ${news.length ? "" : html`<p class="empty">Nothing yet. What happens to your requests will stand here.</p>`}`,
      root,
    );
  }

  #switch() {
    const state = notifying();
    const possible = state === "on" || state === "off";
    const press = async () => {
      await turnNotifications();
      this.#changed();
    };
    return html`<section class="switch">
      ${marks.bell}
      <p id="switch-hint">${HINTS[state]}</p>
      <button class="toggle" role="switch" aria-checked=${state === "on"} aria-label="Notifications of the browser"
        aria-describedby="switch-hint" ?disabled=${!possible} @click=${press}><i></i></button>
    </section>`;
  }
}

function row(one) {
  const { title, text, kind } = newsInWords(one);
  return html`<li data-kind=${kind}>
    <span class="sign">${SIGNS[kind]}</span>
    <div>
      <b>${title}</b>
      <p>${text}</p>
      <p class="foot">
        <time datetime=${one.ts ?? ""}>${when(one.ts)}</time>
        ${one.session_id && kind !== "plain" ? html`<a href="#/session/${one.session_id}">Show the session</a>` : ""}
      </p>
    </div>
  </li>`;
}
