// Assignment in another language, from docs/experiments.md alone: reads the conformance file, says what differs.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const BUCKETS = 10_000n;

function bucket(salt, user) {
  const digest = createHash("sha256").update(`${salt}:${user}`, "utf8").digest();
  return Number(digest.readBigUInt64BE(0) % BUCKETS);
}

function letsIn(targeting, group, attributes) {
  if (targeting.user_groups && !targeting.user_groups.includes(group)) return false;
  return Object.entries(targeting.attributes).every(([name, allowed]) => {
    const value = attributes[name];
    return ["string", "number", "boolean"].includes(typeof value) && allowed.map(String).includes(String(value));
  });
}

function variantOf(experiment, phase, user) {
  const drawn = bucket(`${experiment.name}:${phase.salt}`, user);
  let below = 0;
  return experiment.variants.find((_, place) => drawn < (below += phase.weights[place])).name;
}

function assigned({ experiments, holdout }, { user_id: user, user_group: group, attributes }) {
  const running = experiments.filter((one) => one.state === "running");
  const heldOut = bucket("holdout", user) < Math.round(holdout * 10_000);
  const found = [];
  for (const layer of new Set(running.map((one) => one.layer))) {
    const its = running.filter((one) => one.layer === layer);
    const listed = its.find((one) => Object.values(one.testers).some((users) => users.includes(user)));
    const place = bucket(`layer:${layer}`, user);
    const owner = its.find((one) => one.buckets.some(([start, stop]) => start <= place && place < stop));
    const experiment = listed ?? (heldOut || !owner || !letsIn(owner.targeting, group, attributes) ? null : owner);
    if (!experiment) continue;
    const phase = experiment.phases.at(-1);
    const variant = listed
      ? Object.entries(experiment.testers).find(([, users]) => users.includes(user))[0]
      : variantOf(experiment, phase, user);
    found.push({ experiment: experiment.name, phase: phase.number, variant, tester: Boolean(listed) });
  }
  return found;
}

const states = {};
const counts = { buckets: 0, assignments: 0, wrong: 0 };
for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  const said = JSON.parse(line);
  let found = null;
  if ("bucket" in said) {
    counts.buckets += 1;
    found = bucket(said.salt, said.user_id) === said.bucket;
  } else if ("experiments" in said) {
    states[said.state] = said;
    continue;
  } else {
    counts.assignments += 1;
    found = JSON.stringify(assigned(states[said.state], said)) === JSON.stringify(said.assigned);
  }
  if (!found) {
    counts.wrong += 1;
    console.error(`not so: ${line}`);
  }
}
console.log(JSON.stringify(counts));
