// What an intent is about, in words: its most typical items. Kept for each bundle.

import { open } from "./api.js";

const known = new Map();

/** Every intent of the bundle being served, or of `bundleId`, as GET /v1/intents has them. */
export async function intentsOf(bundleId = null) {
  const found = known.get(bundleId) ?? (await open.get(`/v1/intents${query(bundleId)}`));
  known.set(found.bundle_id, found);
  return found;
}

export const query = (bundleId) => (bundleId === null ? "" : `?bundle_id=${encodeURIComponent(bundleId)}`);

export const titled = (item) => item.title ?? item.item_id;

/** The first of an intent's typical items. */
export function about(intent, items = 1) {
  return intent.top_items.slice(0, items).map(titled).join(", ") || "no training user has it";
}
