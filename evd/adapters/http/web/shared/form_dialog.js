// A dialog with fields, and one that shows a secret this once.
import { html, nothing, render } from "/web/shared/lit.js";
import { openDialog } from "/web/shared/dialog.js";

/**
 * @typedef {object} Field
 * @property {string} name of the body's field, which the server names where it is wrong
 * @property {string} label
 * @property {"text" | "password" | "number" | "choice"} [type]
 * @property {string} [value] at the begin
 * @property {string} [hint]
 * @property {string} [autocomplete]
 * @property {boolean} [optional] left out where it is empty
 * @property {Record<string, string>} [choices] values and their words
 * @property {(values: Record<string, string>) => boolean} [isShown]
 *
 * @typedef {object} Form
 * @property {string} title
 * @property {string} [text]
 * @property {string} action the name of the button that does it
 * @property {Field[]} fields
 * @property {(values: Record<string, string | number>) => Promise<unknown>} act
 */

/** Ask for values and do it; resolves with `{answer}` once it was done, else with null. */
export function askForm(/** @type {Form} */ form) {
  return openDialog((dialog) => new Filling(dialog, form));
}

/** Show a secret that nobody can be shown again; resolves once the dialog is closed. */
export function showSecret(/** @type {{title: string, text: string, label: string, secret: string}} */ shown) {
  return openDialog((dialog) => new Showing(dialog, shown));
}

class Filling {
  outcome = null;
  #dialog;
  #form;
  #values;
  #failure = null;
  #isBusy = false;

  constructor(dialog, form) {
    this.#dialog = dialog;
    this.#form = form;
    this.#values = Object.fromEntries(form.fields.map((field) => [field.name, startOf(field)]));
  }

  end() {}

  draw() {
    const { title, text, action } = this.#form;
    const trouble = this.#failure && !this.#wrongField ? this.#failure.message : "";
    render(
      html`<form novalidate @submit=${this.#submit}>
        <h2 id="ask-title">${title}</h2>
        ${text ? html`<p class="quiet">${text}</p>` : nothing}
        <div class="fields">${this.#shown.map((field) => this.#field(field))}</div>
        <div role="alert">${trouble ? html`<p class="trouble">${trouble}</p>` : nothing}</div>
        <footer>
          <button class="button" type="button" @click=${() => this.#dialog.close()}>Cancel</button>
          <button class="button main" type="submit" aria-disabled=${this.#isBusy}>${action}</button>
        </footer>
      </form>`,
      this.#dialog,
    );
  }

  get #shown() {
    return this.#form.fields.filter(({ isShown }) => !isShown || isShown(this.#values));
  }

  /** The field that the server names, where it is one of these. */
  get #wrongField() {
    return this.#shown.find(({ name }) => name === this.#failure?.field)?.name ?? null;
  }

  #field(field) {
    const { name, label, hint } = field;
    const isWrong = name === this.#wrongField;
    return html`<div>
      <label class="quiet" for="ask-${name}">${label}</label>
      ${this.#input(field, isWrong)}
      ${hint ? html`<p class="hint quiet small" id="hint-${name}">${hint}</p>` : nothing}
      <p class="wrong" role="alert" id="wrong-${name}">${isWrong ? this.#failure.message : nothing}</p>
    </div>`;
  }

  #input({ name, type = "text", choices, autocomplete = "off" }, isWrong) {
    const take = (event) => {
      this.#values = { ...this.#values, [name]: event.target.value };
      this.draw();
    };
    const about = `hint-${name} wrong-${name}`;
    if (type === "choice") {
      const option = ([value, words]) =>
        html`<option value=${value} ?selected=${value === this.#values[name]}>${words}</option>`;
      return html`<select class="field" id="ask-${name}" name=${name} aria-invalid=${isWrong} aria-describedby=${about} @change=${take}>
        ${Object.entries(choices).map(option)}</select>`;
    }
    return html`<input class="field" id="ask-${name}" name=${name} type=${type} autocomplete=${autocomplete} autocapitalize="none"
      spellcheck="false" .value=${this.#values[name]} aria-invalid=${isWrong} aria-describedby=${about} @input=${take} />`;
  }

  #submit = async (event) => {
    event.preventDefault();
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#failure = null;
    this.draw();
    try {
      this.outcome = { answer: await this.#form.act(this.#body()) };
      this.#dialog.close();
      return;
    } catch (error) {
      this.#failure = error;
    }
    this.#isBusy = false;
    this.draw();
    this.#dialog.querySelector('[aria-invalid="true"]')?.focus();
  };

  #body() {
    const body = {};
    for (const { name, type, optional } of this.#shown) {
      const value = this.#values[name];
      if (optional && value === "") continue;
      body[name] = type === "number" ? Number(value) : type === "password" ? value : value.trim();
    }
    return body;
  }
}

const startOf = ({ value, choices }) => value ?? (choices ? Object.keys(choices)[0] : "");

class Showing {
  outcome = null;
  #dialog;
  #shown;
  #said = "";

  constructor(dialog, shown) {
    this.#dialog = dialog;
    this.#shown = shown;
  }

  end() {}

  draw() {
    const { title, text, label, secret } = this.#shown;
    render(
      html`<h2 id="ask-title">${title}</h2>
        <p class="quiet">${text}</p>
        <div class="secret">
          <label class="labelled"><span>${label}</span>
            <input class="field" readonly autocomplete="off" .value=${secret} @focus=${(event) => event.target.select()} /></label>
          <button class="button" autofocus @click=${() => this.#copy(secret)}>Copy</button>
        </div>
        <p class="quiet small" role="status">${this.#said}</p>
        <footer><button class="button main" @click=${() => this.#dialog.close()}>Close</button></footer>`,
      this.#dialog,
    );
  }

  async #copy(secret) {
    try {
      await navigator.clipboard.writeText(secret);
      this.#said = "It is copied.";
    } catch {
      // Browsers let a page write there only if it came by https, or from this machine.
      this.#dialog.querySelector("input").focus();
      this.#said = "This browser lets the page copy nothing: press Ctrl+C.";
    }
    this.draw();
  }
}
