// The fields of filters, the same on each page that has them.
import { html } from "/web/shared/lit.js";
import { fieldOfTime, timeOfField } from "/web/shared/formats.js";

/** A text, taken once it is finished. */
export function textField(label, value, take, placeholder = "all") {
  return html`<label class="labelled"><span>${label}</span>
    <input class="field" type="text" spellcheck="false" autocapitalize="off" .value=${value ?? ""}
      placeholder=${placeholder} @change=${(event) => take(event.target.value.trim())} /></label>`;
}

export function timeField(label, value, take) {
  return html`<label class="labelled"><span>${label}</span>
    <input class="field" type="datetime-local" .value=${fieldOfTime(value || null)}
      @change=${(event) => take(timeOfField(event.target.value) ?? "")} /></label>`;
}

/** @param {Record<string, string>} choices values and their words */
export function choiceField(label, value, choices, take) {
  const option = ([name, words]) => html`<option value=${name} ?selected=${name === (value ?? "")}>${words}</option>`;
  return html`<label class="labelled"><span>${label}</span>
    <select class="field" @change=${(event) => take(event.target.value)}>${Object.entries(choices).map(option)}</select></label>`;
}
