// The section on the temperature: draws are computed here, gradients come from the table that the library computed.

import { errors, pairs, simplex, stacked } from "./charts.js";
import { draw, gumbelNoise, uniform } from "./relaxed.js";

const ROWS = 12; // draws shown as bars
const OWN = "your own";
const $ = (id) => document.getElementById(id);
const digits = (value) => Number(value.toPrecision(2)).toString();

export function startTemperature(table) {
  const state = { seed: 1, logits: [] };
  fill($("preset"), [...Object.keys(table.presets), OWN]);
  fill($("cost"), Object.keys(table.costs), (name) => `${name}: ${table.costs[name]}`);
  $("tau").max = table.temperatures.length - 1;
  $("tau").value = table.temperatures.indexOf(1);

  function takePreset() {
    const preset = table.presets[$("preset").value];
    if (preset) state.logits = [...preset];
    fill($("estimator"), Object.keys(table.entries[closest()].linear), undefined, $("estimator").value || "gumbel_softmax");
    $("logits").replaceChildren(...state.logits.map(slider));
    show();
  }

  // A preset with as many categories, for the list of estimators.
  function closest() {
    const name = $("preset").value;
    const k = state.logits.length;
    return name in table.presets ? name : Object.keys(table.presets).find((known) => table.presets[known].length === k);
  }

  function slider(value, category) {
    const row = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "range", min: -5, max: 5, step: 0.1 });
    const shown = document.createElement("output");
    row.className = "logit";
    row.append(`${category + 1}`, input, shown);
    input.setAttribute("aria-label", `logit of category ${category + 1}`);
    input.value = value;
    shown.textContent = value.toFixed(1);
    input.addEventListener("input", () => {
      state.logits[category] = Number(input.value);
      shown.textContent = state.logits[category].toFixed(1);
      $("preset").value = OWN;
      show();
    });
    return row;
  }

  function show() {
    const tau = table.temperatures[$("tau").value];
    $("tau-value").textContent = tau;
    const k = state.logits.length;
    const found = draw(state.logits, tau, gumbelNoise(uniform(state.seed), Number($("draws").value), k));
    showDraws(found, tau);
    showGradient(tau);
  }

  function showDraws({ soft, hard, frequency, probabilities }, tau) {
    const triangle = frequency.length === 3;
    $("simplices").hidden = !triangle;
    if (triangle) {
      const corners = frequency.map((_, c) => frequency.map((__, i) => (i === c ? 1 : 0)));
      simplex($("soft-simplex"), soft, soft.map(() => 2.2), `${soft.length} relaxed draws at temperature ${tau}`);
      const shares = frequency.map((share, c) => `${c + 1}: ${(100 * share).toFixed(1)}%`).join(", ");
      simplex($("hard-simplex"), corners, frequency.map((share) => 22 * Math.sqrt(share)), `one-hot draws, ${shares}`);
    }
    stacked($("soft-bars"), soft.slice(0, ROWS), `the first ${ROWS} relaxed draws`);
    stacked($("hard-bars"), hard.slice(0, ROWS), `the first ${ROWS} one-hot draws`);
    const text = frequency.map((share, c) => `${c + 1}: ${share.toFixed(3)} of ${probabilities[c].toFixed(3)}`).join(", ");
    pairs($("histogram"), frequency, probabilities, `share of draws, and softmax(logits): ${text}`);
  }

  function showGradient(tau) {
    const [preset, cost, name] = [$("preset").value, $("cost").value, $("estimator").value];
    const known = preset in table.presets;
    for (const id of ["gradient", "errors"]) $(id).closest("figure").hidden = !known;
    if (!known) {
      $("verdict").textContent =
        "The table has gradients for the presets only. Choose one under Logits; for any logits, the page that " +
        "`gumbelzoo explore` opens computes them.";
      return;
    }
    const entries = table.entries[preset][cost][name];
    const entry = entries[entries.length > 1 ? table.temperatures.indexOf(tau) : 0];
    const exact = table.exact[preset][cost];
    const draws = table.counts.at(-1);
    const bias = entry.error.at(-1);
    const noise = entry.spread / Math.sqrt(draws);
    pairs($("gradient"), exact, entry.mean, `exact gradient ${exact.map(digits)}; ${name}: ${entry.mean.map(digits)}`, digits);
    errors($("errors"), table.counts, entry.error, entry.spread, `error from ${digits(entry.error[0])} to ${digits(bias)}`);
    const length = Math.hypot(...exact);
    $("verdict").textContent =
      `${name} is ${table.unbiased[name] ? "unbiased" : "biased"}. After ${draws} draws its mean is ${digits(bias)} from ` +
      `the exact gradient, whose length is ${digits(length)}; noise alone would be ${digits(noise)}. One draw has a ` +
      `spread of ${digits(entry.spread)} and evaluates the cost ${times(table.evaluations[preset][name])}.` +
      (entries.length > 1 ? "" : " It has no temperature.");
  }

  $("preset").addEventListener("change", takePreset);
  for (const id of ["tau", "draws", "estimator", "cost"]) $(id).addEventListener("input", show);
  $("redraw").addEventListener("click", () => {
    state.seed += 1;
    show();
  });
  takePreset();
}

const times = (n) => (n === 1 ? "once" : `${n} times`);

function fill(select, names, text = (name) => name, chosen = names[0]) {
  select.replaceChildren(...names.map((name) => new Option(text(name), name)));
  select.value = names.includes(chosen) ? chosen : names[0];
}
