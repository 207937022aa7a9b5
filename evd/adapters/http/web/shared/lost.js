// The words that tell of a lost connection, the same on every page.
import { html } from "/web/shared/lit.js";
import { clockSeconds } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";

/** That it is lost, and `why`. */
export const connectionLost = (why) =>
  html`<p class="lost">${icons.unplugged}<span><b>connection lost</b> – ${why}</span></p>`;

/**
 * That nothing is heard from the server; `heardAt` is when it was heard last, null for never.
 * `standby` is the sentence of a Central that stands by: another one serves, at another address.
 */
export function silentServer(heardAt, standby = null) {
  const since = heardAt === null ? "" : ` What is shown was true at ${clockSeconds(heardAt)}.`;
  const why = standby === null ? "" : `this Central does not serve now: ${standby}; `;
  return connectionLost(`${why}trying again by itself.${since}`);
}
