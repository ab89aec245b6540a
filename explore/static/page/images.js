// The section on the model: an image, its codes, one latent set to every category, paths and samples.

import { paint } from "./charts.js";
import { startDrawing } from "./drawing.js";
import { uniform } from "./relaxed.js";

const STEPS = 9; // images between two, both ends included
const SAMPLES = 16;
const SLICE = 12; // milliseconds of computing before the page may answer
const $ = (id) => document.getElementById(id);

export function startImages(model) {
  const tests = model.testImages();
  const state = { scores: null, own: [], codes: [], latent: model.grid ? model.latents >> 1 : 0, seed: 1 };
  const turns = new Map(); // of each place with images
  const latents = Array.from({ length: model.latents }, (_, latent) => button(() => choose(latent)));
  $("codes").replaceChildren(...latents);
  if (model.grid) $("codes").style.gridTemplateColumns = `repeat(${model.grid[1]}, minmax(0, 1fr))`;

  // -- image and codes

  function take(image) {
    state.scores = model.scores(image);
    state.own = model.codes(state.scores);
    state.codes = [...state.own];
    showAll();
  }

  function choose(latent) {
    state.latent = latent;
    showCodes();
    showRow();
  }

  function flip(category) {
    state.codes[state.latent] = category;
    showCodes();
    showRow();
  }

  function showAll() {
    showCodes();
    showRow();
    showBetween();
  }

  function showCodes() {
    paint($("decoded"), model.decode(state.codes), model.image);
    latents.forEach((element, n) => {
      element.textContent = state.codes[n];
      element.setAttribute("aria-label", `latent ${n + 1}: category ${state.codes[n]}`);
      element.setAttribute("aria-pressed", n === state.latent);
      element.classList.toggle("flipped", state.codes[n] !== state.own[n]);
    });
    const flipped = state.codes.filter((code, n) => code !== state.own[n]).length;
    $("changed").textContent = flipped ? `${flipped} of ${model.latents} codes are yours.` : "All codes are those of the image.";
  }

  // -- one latent, every category

  function showRow() {
    const posterior = model.posteriorOf(state.scores, state.latent);
    $("row-help").textContent =
      `Latent ${state.latent + 1}, all others as they are. ` +
      (posterior ? "Below each category its probability given the image." : "The image's own code is the nearest one.");
    const tiles = Array.from({ length: model.categories }, (_, category) => {
      const element = button(() => flip(category));
      const share = posterior ? ` ${(100 * posterior[category]).toFixed(0)}%` : "";
      element.append(picture(), `${category}${share}`);
      element.setAttribute("aria-label", `set latent ${state.latent + 1} to category ${category}`);
      element.setAttribute("aria-pressed", category === state.codes[state.latent]);
      return element;
    });
    const focused = [...$("row").children].indexOf(document.activeElement);
    $("row").replaceChildren(...tiles);
    if (focused >= 0) tiles[focused].focus(); // a keyboard stays where it was
    const rows = tiles.map((_, category) => state.codes.map((code, n) => (n === state.latent ? category : code)));
    decodeAll($("row"), rows, tiles.map((tile) => tile.firstChild));
  }

  // -- paths and samples

  function showBetween() {
    if (!tests.length) return;
    const last = model.scores(tests[$("other").value]);
    paintAll($("between"), model.between(state.scores, last, STEPS));
  }

  function showSamples() {
    const temperature = Number($("prior-temperature").value);
    $("prior-temperature-value").textContent = temperature.toFixed(1);
    const random = uniform(state.seed);
    paintAll($("samples"), Array.from({ length: SAMPLES }, () => model.sample(random, temperature)));
  }

  function paintAll(place, rows) {
    while (place.children.length < rows.length) place.append(picture());
    decodeAll(place, rows, [...place.children]);
  }

  // Decode rows of codes into canvases, with pauses; a new turn at a place ends one that is still computing.
  async function decodeAll(place, rows, canvases) {
    const turn = (turns.get(place) ?? 0) + 1;
    turns.set(place, turn);
    place.setAttribute("aria-busy", "true");
    const whole = await inSlices(rows.length, () => turns.get(place) === turn, (i) => {
      paint(canvases[i], model.decode(rows[i]), model.image);
    });
    if (whole) place.setAttribute("aria-busy", "false");
  }

  function picture() {
    const [, height, width] = model.image;
    return Object.assign(document.createElement("canvas"), { width, height });
  }

  // -- controls

  const pad = startDrawing($("pad"), $("pad-help"), model.image, model.binary, take);
  const names = tests.map((_, i) => `${i + 1}${model.labels.length ? ` (class ${model.labels[i]})` : ""}`);
  $("test").replaceChildren(new Option(tests.length ? "your own" : "there are none here", ""), ...names.map(option));
  $("test").disabled = $("other").disabled = !tests.length;
  $("other").replaceChildren(...names.map(option));
  $("other").selectedIndex = tests.length >> 1; // of another class, where a set is sorted
  $("test").addEventListener("change", () => ($("test").value === "" ? pad.clear() : pad.set(tests[$("test").value])));
  $("pad").addEventListener("pointerdown", () => ($("test").value = ""));
  $("clear").addEventListener("click", () => {
    $("test").value = "";
    pad.clear();
  });
  $("reset").addEventListener("click", () => {
    state.codes = [...state.own];
    showCodes();
    showRow();
  });
  $("other").addEventListener("change", showBetween);
  $("prior-temperature").addEventListener("input", showSamples);
  $("again").addEventListener("click", () => {
    state.seed += 1;
    showSamples();
  });
  $("samples-help").textContent = model.prior
    ? "Codes drawn from the prior of each latent, its logits divided by the temperature. A uniform prior is the same at every temperature."
    : "Codes drawn at random, each alike: this model has no prior of its own, so that these are not like its data.";

  if (tests.length) $("test").value = "0";
  tests.length ? pad.set(tests[0]) : pad.clear();
  showSamples();
}

const option = (name, i) => new Option(name, i);

function button(action) {
  const element = Object.assign(document.createElement("button"), { type: "button" });
  element.addEventListener("click", action);
  return element;
}

// Run `step` for 0 .. n - 1, with pauses in which the page answers, while `wanted()`; true if all were run.
async function inSlices(n, wanted, step) {
  let began = -Infinity; // the page answers first
  for (let i = 0; i < n; i++) {
    if (performance.now() - began > SLICE) {
      await new Promise((resume) => setTimeout(resume));
      began = performance.now();
    }
    if (!wanted()) return false;
    step(i);
  }
  return true;
}
