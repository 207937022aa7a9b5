// The words that tell of a lost connection, the same on every page.
import { html } from "/web/shared/lit.js";
import { clockSeconds } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";

/** That it is lost, and `why`. */
export const connectionLost = (why) =>
  html`<p class="lost">${icons.unplugged}<span><b>connection lost</b> – ${why}</span></p>`;

/** That nothing is heard from the server; `heardAt` is when it was heard last, null for never. */
export function silentServer(heardAt) {
  const since = heardAt === null ? "" : ` What is shown was true at ${clockSeconds(heardAt)}.`;
  return connectionLost(`trying again by itself.${since}`);
}
