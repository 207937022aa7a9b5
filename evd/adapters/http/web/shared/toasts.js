// Short notices in a corner, read out by a screen reader, gone after some seconds.
import { html, render, repeat } from "/web/shared/lit.js";
import { icons } from "/web/shared/icons.js";

const SHOWN_MS = 6_000;
const SHOWN_MAX = 4;

let box = null;
let shown = [];
let next = 1;

/** @param {"done" | "failed" | "plain"} kind */
export function toast(text, kind = "plain") {
  const one = { id: next++, text, kind };
  shown = [...shown, one].slice(-SHOWN_MAX);
  draw();
  setTimeout(() => drop(one.id), SHOWN_MS);
}

function drop(id) {
  shown = shown.filter((each) => each.id !== id);
  draw();
}

function draw() {
  if (box === null) {
    box = document.createElement("div");
    box.className = "toasts";
    box.setAttribute("role", "status");
    document.body.append(box);
  }
  const one = ({ id, text, kind }) => html`<div class="toast" data-kind=${kind}>
    <span>${text}</span>
    <button class="button bare square little" aria-label="Dismiss" @click=${() => drop(id)}>${icons.close}</button>
  </div>`;
  render(repeat(shown, ({ id }) => id, one), box);
}
