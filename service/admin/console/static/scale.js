// From values to places, and round numbers for axes.

/** linear([0, 10], [0, 200])(5) = 100 */
export function linear([from, to], [start, end]) {
  const ratio = (end - start) / (to - from || 1);
  return (value) => start + (value - from) * ratio;
}

/** About `wanted` round values from `low` to `high`: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((one) => one * power >= rough) ?? 10);
  const found = [];
  for (let at = Math.ceil(low / step); at <= Math.floor(high / step + 1e-9); at++) found.push(at * step);
  return found;
}

const FARTHEST = 3; // times the usual reach: an interval that says next to nothing leaves the picture

/** A range that holds all values and zero, and intervals as far as they say something. */
export function reachOf(intervals) {
  const values = intervals.map((one) => one.value);
  const widths = intervals.flatMap((one) => [one.value - one.low, (one.high ?? Infinity) - one.value]).sort((a, b) => a - b);
  const usual = FARTHEST * (widths[Math.floor(widths.length / 2)] || 0.01);
  const low = Math.max(Math.min(...intervals.map((one) => one.low)), Math.min(...values) - usual);
  const high = Math.min(Math.max(...intervals.map((one) => one.high ?? Infinity)), Math.max(...values) + usual);
  const room = 0.06 * (Math.max(high, 0) - Math.min(low, 0) || 0.02);
  return [Math.min(low, 0) - room, Math.max(high, 0) + room];
}
