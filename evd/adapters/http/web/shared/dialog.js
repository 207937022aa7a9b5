// A question before something is done, and then, in the same dialog, what became of it.
import { html, nothing, render } from "/web/shared/lit.js";
import { icons } from "/web/shared/icons.js";

const WAIT_MS_MAX = 30_000;
const LOOK_MS = 100;

/**
 * @typedef {object} Question
 * @property {string} title the question
 * @property {string} text what will happen
 * @property {string} action the name of the button that does it
 * @property {boolean} [danger]
 * @property {() => Promise<unknown>} act asks for it; an error's message is shown
 * @property {string} waiting what is waited for once it was taken
 * @property {boolean} [closes] it closes once it was taken: what becomes of it is shown elsewhere
 * @property {() => string | null} [became] a sentence once it is so, null until then
 */

/** Ask, do it, and follow it until it is so; resolves when the dialog is closed. */
export function ask(/** @type {Question} */ question) {
  return openDialog((dialog) => new Asking(dialog, question));
}

/**
 * Open a dialog, whose title has the id `ask-title`; resolves with its view's `outcome` when it is
 * closed.
 * @param {(dialog: HTMLDialogElement) => {draw: () => void, end: () => void, outcome: unknown}} make
 */
export function openDialog(make) {
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  dialog.setAttribute("aria-labelledby", "ask-title");
  document.body.append(dialog);
  const view = make(dialog);
  view.draw();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      view.end();
      dialog.remove();
      resolve(view.outcome);
    });
  });
}

/** Close what is open, as for a reader who is gone. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

class Asking {
  #dialog;
  #question;
  #timer = 0;
  #text = "";
  /** @type {"asking" | "sent" | "waiting" | "done" | "failed" | "late"} */
  outcome = "asking";

  constructor(dialog, question) {
    this.#dialog = dialog;
    this.#question = question;
  }

  end() {
    clearInterval(this.#timer);
  }

  draw() {
    const { title, text } = this.#question;
    const asking = this.outcome === "asking";
    render(
      html`<h2 id="ask-title">${title}</h2>
        <p class="quiet">${text}</p>
        <div role="status">${asking ? nothing : this.#shown()}</div>
        <footer>${asking ? this.#buttons() : this.#close(this.outcome === "done")}</footer>`,
      this.#dialog,
    );
  }

  #buttons() {
    const { action, danger } = this.#question;
    return html`<button class="button" autofocus @click=${() => this.#dialog.close()}>Cancel</button>
      <button class="button main ${danger ? "danger" : ""}" @click=${() => this.#begin()}>${action}</button>`;
  }

  #close(main) {
    return html`<button class="button ${main ? "main" : ""}" @click=${() => this.#dialog.close()}>Close</button>`;
  }

  #shown() {
    const marks = { done: icons.on, failed: icons.broken, late: icons.warn };
    const mark = marks[this.outcome] ?? html`<span class="spinner"></span>`;
    return html`<p class="outcome" data-outcome=${this.outcome}>${mark}<span>${this.#text}</span></p>`;
  }

  #move(outcome, text) {
    this.outcome = outcome;
    this.#text = text;
    this.draw();
    if (outcome !== "asking") this.#dialog.querySelector("footer button")?.focus();
  }

  async #begin() {
    const { act, waiting, became, closes } = this.#question;
    this.#move("sent", "Asking…");
    try {
      await act();
    } catch (error) {
      this.#move("failed", error.message);
      return;
    }
    if (closes) {
      this.outcome = "done";
      this.#dialog.close();
      return;
    }
    if (!became) {
      this.#move("done", waiting);
      return;
    }
    this.#move("waiting", waiting);
    const until = performance.now() + WAIT_MS_MAX;
    this.#timer = setInterval(() => {
      const sentence = became();
      if (sentence !== null) {
        this.end();
        this.#move("done", sentence);
      } else if (performance.now() > until && this.outcome === "waiting") {
        this.#move("late", `${waiting} Not yet after ${WAIT_MS_MAX / 1000} s; it is repeated until it is done.`);
      }
    }, LOOK_MS);
  }
}
