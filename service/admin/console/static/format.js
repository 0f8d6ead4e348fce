// Numbers and times as people read them.

const plain = new Intl.NumberFormat("en");
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];

export const count = (value) => plain.format(value);
export const share = (value, digits = 1) => `${(100 * value).toFixed(digits)} %`;
export const score = (value) => value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3);
export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

/** With its sign, and a true minus. */
export function signed(value, digits = 1) {
  const text = Math.abs(100 * value).toFixed(digits);
  return `${Number(text) === 0 ? "±" : value > 0 ? "+" : "−"}${text} %`;
}

/** An interval of shares in percent; null is an end that is not known. */
export const between = (low, high) => `${signed(low)} to ${high === null ? "no upper end" : signed(high)}`;

export const pValue = (value) => (value === null ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3));

/** Unix seconds or RFC 3339 -> Date. */
export const date = (value) => new Date(typeof value === "number" ? 1000 * value : value);
export const when = (value) => moment.format(date(value));

export function since(value) {
  const seconds = (date(value) - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return ago.format(Math.round(seconds / size), unit);
}

/** The beginning of a long id, and its last digits, which tell bundles apart. */
export const shortened = (id) => (id.length <= 26 ? id : `${id.slice(0, 15)}…${id.slice(-8)}`);
