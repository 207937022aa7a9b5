// The story of one charging point: all that happened to it, newest first.
import { html, nothing, repeat } from "/web/shared/lit.js";
import { clockSeconds, date, dateTime, euros, kwh } from "/web/shared/formats.js";
import { icons } from "/web/shared/icons.js";
import { KINDS } from "/web/central/event_log.js";

/** @param {object[]} rows of GET /timeline; `at`: a time whose nearest row is marked */
export function timeline(rows, at = null) {
  const days = new Map();
  for (const row of rows) {
    const day = date(row.ts);
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(row);
  }
  const nearest = at === null ? null : nearestTo(rows, Date.parse(at));
  return repeat(
    days,
    ([day]) => day,
    ([day, those]) => html`<section class="day"><h3>${day}</h3>
      <ol>${repeat(those, ({ id }) => id, (row) => entry(row, row === nearest))}</ol></section>`,
  );
}

function nearestTo(rows, time) {
  let found = null;
  let least = Infinity;
  for (const row of rows) {
    const distance = Math.abs(Date.parse(row.ts) - time);
    if (distance < least) [found, least] = [row, distance];
  }
  return found;
}

function entry({ kind, ts, text, who, session_id, driver_id, kwh: energy, euros: money }, marked) {
  const [words, icon, mood] = KINDS[kind] ?? [kind, icons.warn, "plain"];
  const amounts = [
    energy !== null && energy !== undefined ? kwh(energy) : "",
    money !== null && money !== undefined ? euros(money) : "",
  ].filter(Boolean);
  return html`<li class="entry" data-mood=${mood} ?data-marked=${marked}>
    <time datetime=${ts} title=${dateTime(ts)}>${clockSeconds(ts)}</time>
    <span class="dot">${icon}</span>
    <div>
      <p><b>${session_id ? html`<a href="#/session/${session_id}">${words}</a>` : words}</b>${driver_id && !text.includes(driver_id) ? html` · ${driver_id}` : nothing}${who ? ` · by ${who}` : nothing}</p>
      ${text && !who ? html`<p class="quiet">${text}</p>` : nothing}
      ${amounts.length ? html`<p class="number">${amounts.join(" · ")}</p>` : nothing}
    </div>
  </li>`;
}
