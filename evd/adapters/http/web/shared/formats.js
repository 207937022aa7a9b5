// Values as the reader's own language writes them. Times are local; nothing here decides anything.
const NONE = "–";
const language = navigator.languages?.[0] ?? navigator.language;
const number = (digits) =>
  new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const tenths = number(1);
const thousandths = number(3);
const money = new Intl.NumberFormat(language, { style: "currency", currency: "EUR" });
const rate = new Intl.NumberFormat(language, {
  style: "currency",
  currency: "EUR",
  minimumFractionDigits: 2,
  maximumFractionDigits: 4,
});
const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "short" });
const seconds = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const both = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const ofYear = new Intl.DateTimeFormat(language, { month: "long", year: "numeric" });
const dayAndClock = new Intl.DateTimeFormat(language, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

const known = (value) => value !== null && value !== undefined;
const written = (format, unit = "") => (value) => (known(value) ? format.format(value) + unit : NONE);

export const count = written(whole);
export const kw = written(tenths, "\u00a0kW");
/** A session to the watt-hour, a month to what can be read at a glance. */
export function kwh(value) {
  if (!known(value)) return NONE;
  const format = value < 100 ? thousandths : value < 10_000 ? tenths : whole;
  return format.format(value) + "\u00a0kWh";
}
/** The same to the watt-hour, without its unit. */
export const energy = written(thousandths);
export const euros = written(money);
export const euroRate = (value) => (known(value) ? rate.format(value) + "/kWh" : NONE);
export const percent = written(share);
export const clockTime = (time) => (known(time) ? clock.format(new Date(time)) : NONE);
export const clockSeconds = (time) => (known(time) ? seconds.format(new Date(time)) : NONE);
export const date = (time) => (known(time) ? day.format(new Date(time)) : NONE);
export const month = (time) => (known(time) ? ofYear.format(new Date(time)) : NONE);
export const dateTime = (time) => (known(time) ? both.format(new Date(time)) : NONE);
export const shortDateTime = (time) => (known(time) ? dayAndClock.format(new Date(time)) : NONE);

/** A time of today as its hour, another with its day. */
export function when(time) {
  if (!known(time)) return NONE;
  const at = new Date(time);
  const today = at.toDateString() === new Date().toDateString();
  return today ? seconds.format(at) : dayAndClock.format(at);
}

const STEPS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Seconds as the two largest of days, hours, minutes and seconds: `2 h 5 min`. */
export function duration(total) {
  if (!known(total)) return NONE;
  let left = Math.max(0, Math.round(total));
  const first = STEPS.findIndex(([size]) => left >= size);
  if (first < 0) return "0 s";
  const parts = [];
  for (const [size, unit] of STEPS.slice(first, first + 2)) {
    const amount = Math.floor(left / size);
    left -= amount * size;
    if (amount > 0) parts.push(`${whole.format(amount)}\u00a0${unit}`);
  }
  return parts.join(" ");
}

/** How long ago a time was, coarsely: it may change each second only in the first minute. */
export function ago(time, now = Date.now()) {
  if (!known(time)) return NONE;
  const past = Math.max(0, (now - Date.parse(time)) / 1000);
  const [size, unit] = STEPS.find(([each]) => past >= each) ?? STEPS[3];
  return `${whole.format(Math.floor(past / size))}\u00a0${unit}`;
}

/** What a <input type="datetime-local"> shows as the time that the API wants; null for none. */
export function timeOfField(text) {
  const at = text ? new Date(text) : null;
  return at && !Number.isNaN(at.valueOf()) ? at.toISOString() : null;
}

/** A time as <input type="datetime-local"> wants it, in local time to the minute. */
export function fieldOfTime(time) {
  if (!known(time)) return "";
  const at = new Date(time);
  return new Date(at.valueOf() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
