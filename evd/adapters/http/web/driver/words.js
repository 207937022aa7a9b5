// Sentences about a request and its end, the same in the list, in a notice and on the lock screen.
import { euros, kwh } from "/web/shared/formats.js";

const known = (value) => value !== null && value !== undefined;

/** The place of a piece of news, or of a request. */
export const placeOf = ({ cp_id: cpId }) => cpId ?? "any charging point";

/** @returns {{title: string, text: string, kind: "done" | "failed" | "plain"}} */
export function newsInWords(one) {
  const place = placeOf(one);
  switch (one.status) {
    case "ACCEPTED":
      return { title: `Charging at ${place}`, text: sentence(one.reason) || "The session begins.", kind: "plain" };
    case "IN_PROGRESS":
      return { title: `Trouble at ${place}`, text: sentence(one.reason), kind: "failed" };
    case "COMPLETED":
      return { title: `Finished at ${place}`, text: joined(amounts(one), sentence(one.reason)), kind: "done" };
    case "DENIED":
      return { title: `Not possible at ${place}`, text: sentence(one.reason) || "The request was denied.", kind: "failed" };
    default:
      return { title: `Failed at ${place}`, text: joined(amounts(one), sentence(one.reason)), kind: "failed" };
  }
}

function amounts(one) {
  if (!known(one.kwh)) return "";
  return `${kwh(one.kwh)}, ${known(one.euros) ? euros(one.euros) : "no bill yet"}`;
}

/** A reason begins with a small letter where it follows a colon. */
export function sentence(reason) {
  return reason ? reason[0].toUpperCase() + reason.slice(1) : "";
}

function joined(...parts) {
  return parts.filter(Boolean).join(". ") || "It is over.";
}
