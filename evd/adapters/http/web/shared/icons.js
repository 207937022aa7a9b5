// Small drawings of our own, 16 by 16. They are beside words, so a screen reader skips them.
import { html } from "/web/shared/lit.js";

/** A drawing of one path. */
export const icon = (path) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${path} fill-rule="evenodd" /></svg>`;

export const icons = {
  // A full circle with a tick, a triangle with a mark, an empty circle with a bar: told apart by
  // their shape alone.
  on: icon("M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.3 5.2L7.2 10.9 4.7 8.4l1-1 1.4 1.4 3.1-3.5Z"),
  broken: icon("M8 1.2 15.4 14.4H.6ZM7.2 6v4.2h1.6V6Zm0 5.4V13h1.6v-1.6Z"),
  off: icon("M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6ZM5 7.2v1.6h6V7.2Z"),
  bolt: icon("M9.4.8 2.6 9.2h4.2l-.6 6 7-8.6H8.8Z"),
  stopped: icon("M3 3h10v10H3Z"),
  search: icon("M7 1.5a5.5 5.5 0 1 0 3.3 9.9l3 3 1.1-1.1-3-3A5.5 5.5 0 0 0 7 1.5ZM7 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8Z"),
  cards: icon("M1.5 1.5h5.6v5.6H1.5Zm7.4 0h5.6v5.6H8.9Zm-7.4 7.4h5.6v5.6H1.5Zm7.4 0h5.6v5.6H8.9Z"),
  rows: icon("M1.5 2.5h13v2.2h-13Zm0 4.4h13v2.2h-13Zm0 4.4h13v2.2h-13Z"),
  sun: icon("M8 4.6a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 0 0 0-6.8ZM7.3.5h1.4v2.6H7.3Zm0 12.4h1.4v2.6H7.3ZM.5 7.3h2.6v1.4H.5Zm12.4 0h2.6v1.4h-2.6ZM2.2 3.2l1-1L5 4 4 5Zm8.8 8.8 1-1 1.8 1.8-1 1ZM12.8 2.2l1 1L12 5l-1-1ZM4 11l1 1-1.8 1.8-1-1Z"),
  moon: icon("M6.2 1.3a6.8 6.8 0 1 0 8.5 8.5A5.6 5.6 0 0 1 6.2 1.3Z"),
  auto: icon("M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6v10.8A5.4 5.4 0 0 1 8 2.6Z"),
  back: icon("M10.5 2.2 4.7 8l5.8 5.8 1.1-1.1L6.9 8l4.7-4.7Z"),
  close: icon("m3.5 2.4 4.5 4.5 4.5-4.5 1.1 1.1L9.1 8l4.5 4.5-1.1 1.1L8 9.1l-4.5 4.5-1.1-1.1L6.9 8 2.4 3.5Z"),
  down: icon("M7.2 1.5h1.6v7.1l2.5-2.5 1.1 1.1L8 11.6 3.6 7.2l1.1-1.1 2.5 2.5ZM2.5 12.9h11v1.6h-11Z"),
  warn: icon("M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm-.8 3.4h1.6v4.8H7.2Zm0 6h1.6V12H7.2Z"),
  leave: icon("M2 1.5h6.5V3h-5v10h5v1.5H2ZM10.2 4.2 14 8l-3.8 3.8-1.1-1.1 2-2H5.5V7.3h5.6l-2-2Z"),
  unplugged: icon("m2.2 1.2 12.6 12.6-1 1-3.4-3.4A4.6 4.6 0 0 1 8.8 12v2.8H7.2V12a4 4 0 0 1-3.5-4V5.6h.9L1.2 2.2ZM5.2 1.2h1.6v2.2l-1.6-1.6Zm4 0h1.6v3h1.5V8c0 .5-.1 1-.3 1.5L7 4.4h2.2Z"),
};

const OF_STATE = { ON: icons.on, BROKEN: icons.broken, DISCONNECTED: icons.off };
Object.assign(OF_STATE, { FREE: icons.on, OCCUPIED: icons.bolt, OFFLINE: icons.off });
Object.assign(OF_STATE, { ACTIVE: icons.bolt, COMPLETED: icons.on, FAILED: icons.broken });
Object.assign(OF_STATE, { DENIED: icons.broken, SUSPECT: icons.warn });

/** A state as a shape and its word. */
export function stateMark(state) {
  return html`<span class="state" data-state=${state}>${OF_STATE[state] ?? icons.off}<span>${state}</span></span>`;
}
