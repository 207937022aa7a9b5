// Which charging points are listed, and in which order.
export const SORTS = {
  name: "Name",
  attention: "Needs attention",
  power: "Power",
  energy: "Energy",
  since: "Changed last",
};
const URGENCY = { BROKEN: 0, DISCONNECTED: 1, ON: 2 };

const byName = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
const falling = (value) => (a, b) => value(b) - value(a) || byName(a, b);
const ORDERS = {
  name: byName,
  attention: (a, b) => urgency(a) - urgency(b) || byName(a, b),
  power: falling(({ meter }) => meter?.kw ?? -1),
  energy: falling(({ meter }) => meter?.kwh ?? -1),
  since: (a, b) => {
    const [first, second] = [a.view.state_since ?? "", b.view.state_since ?? ""];
    return first > second ? -1 : first < second ? 1 : byName(a, b);
  },
};

function urgency({ view }) {
  if (view.breaker !== "CLOSED" && view.state === "ON") return 1.5;
  return URGENCY[view.state] + (view.stopped || !view.current_session ? 0.2 : 0);
}

const FILTERS = {
  all: () => true,
  ON: ({ view }) => view.state === "ON",
  BROKEN: ({ view }) => view.state === "BROKEN",
  DISCONNECTED: ({ view }) => view.state === "DISCONNECTED",
  charging: ({ view }) => view.current_session !== null,
  free: ({ view }) => view.available,
  stopped: ({ view }) => view.stopped,
};

/** The text in which a search looks. */
function textOf({ id, view }) {
  const { location, current_driver, current_session, unavailable_reason } = view;
  return `${id}\n${location}\n${current_driver}\n${current_session}\n${unavailable_reason}`.toLowerCase();
}

function fits(point, words) {
  if (!words.length) return true;
  const text = textOf(point);
  return words.every((word) => text.includes(word));
}

/** @param {Iterable<import("/web/central/model.js").Point>} points */
export function arrange(points, { search, filter, sort }) {
  const wanted = FILTERS[filter] ?? FILTERS.all;
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const point of points) {
    if (wanted(point) && fits(point, words)) found.push(point);
  }
  return found.sort(ORDERS[sort] ?? byName);
}
