// Loads the model and the table, starts both sections, and says in a sentence what went wrong.

import { startImages } from "./images.js";
import { loadModel, loadTable } from "./model.js";
import { startTemperature } from "./temperature.js";

const $ = (id) => document.getElementById(id);

function fail(error) {
  $("status").className = "error";
  $("status").textContent = `The page could not start: ${error.message ?? error}.`;
}

async function start() {
  const model = await loadModel();
  document.title = `${model.name} in gumbelzoo`;
  $("name").textContent = model.name;
  $("about").textContent = `${model.model}: ${model.latents} latents of ${model.categories} categories.`;
  $("licence").textContent = model.data ? `Test images: ${model.data}.` : "";
  document.querySelector("main").hidden = false;
  startImages(model);
  await new Promise((seen) => requestAnimationFrame(seen));
  document.body.dataset.picture = Math.round(performance.now()); // milliseconds until the first picture
  startTemperature(await loadTable());
  $("status").textContent = "";
  document.body.dataset.ready = "true";
}

start().catch(fail);
