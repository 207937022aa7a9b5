// A session as it is shown in tables and on its own page.
import { html } from "/web/shared/lit.js";
import { dateTime, duration, euros, kwh, shortDateTime } from "/web/shared/formats.js";
import { stateMark } from "/web/shared/icons.js";

/** COMPLETED, FAILED or ACTIVE, or that it waits for the operator. */
export const sessionMark = (row) => stateMark(row.suspect && row.total_cost === null ? "SUSPECT" : row.status);

/** The bill in words. */
export function bill(row) {
  if (row.total_cost !== null) return row.billable ? euros(row.total_cost) : `${euros(row.total_cost)} (not billed)`;
  if (row.status === "ACTIVE") return "running";
  return row.suspect ? "waits for the operator" : "no record yet";
}

export function length(row) {
  const end = row.end_time === null ? Date.now() : Date.parse(row.end_time);
  return duration((end - Date.parse(row.start_time)) / 1000);
}

/** A table of sessions; `withPoint` false where all are of one charging point. */
export function sessionTable(rows, { withPoint = true } = {}) {
  const point = (row) => html`<td><a href="#/cp/${row.cp_id}">${row.cp_id}</a></td>`;
  const line = (row) => html`<tr>
    <td><a href="#/session/${row.session_id}" title=${dateTime(row.start_time)}><time datetime=${row.start_time}>${shortDateTime(row.start_time)}</time></a></td>
    ${withPoint ? point(row) : ""}
    <td>${row.driver_id}</td>
    <td>${sessionMark(row)}</td>
    <td class="number">${length(row)}</td>
    <td class="number">${kwh(row.total_kwh)}</td>
    <td class="number">${bill(row)}</td>
    <td class="quiet reason">${row.estimated ? "estimated; " : ""}${row.reason}</td>
  </tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Sessions"><table class="table">
    <thead><tr><th scope="col">Start</th>${withPoint ? html`<th scope="col">Charging point</th>` : ""}<th scope="col">Driver</th>
      <th scope="col">Outcome</th><th scope="col" class="number">Length</th><th scope="col" class="number">Energy</th>
      <th scope="col" class="number">Bill</th><th scope="col">Reason</th></tr></thead>
    <tbody>${rows.map(line)}</tbody>
  </table></div>`;
}
