// A model that runs here: images to scores of the categories of each latent, codes to images. Scores are n k numbers,
// codes n whole numbers, an image c h w numbers in [0, 1].

import { run, take } from "./network.js";
import { argmax, gumbelNoise, softmax } from "./relaxed.js";

export class Model {
  constructor(content, numbers) {
    Object.assign(this, content);
    this.numbers = numbers;
    this.priorLogits = content.prior && this.rows(take(numbers, content.prior));
  }

  // n rows of k numbers.
  rows(values) {
    const k = this.categories;
    return Array.from({ length: this.latents }, (_, i) => [...values.subarray(i * k, (i + 1) * k)]);
  }

  scores(image) {
    return run(this.encoder, { data: image, shape: this.image }, this.numbers).data;
  }

  codes(scores) {
    return this.rows(scores).map(argmax);
  }

  decode(codes) {
    return run(this.decoder, { data: codes, shape: [codes.length] }, this.numbers).data;
  }

  // Codes of equally spaced points between two images, both ends included.
  between(first, last, steps) {
    return Array.from({ length: steps }, (_, step) => {
      const weight = step / (steps - 1);
      return this.codes(first.map((value, i) => value + weight * (last[i] - value)));
    });
  }

  // Codes from the model's own prior, its logits divided by the temperature; without logits it is uniform.
  sample(random, temperature) {
    const noise = gumbelNoise(random, this.latents, this.categories);
    const logits = this.priorLogits || noise.map((row) => row.map(() => 0));
    return noise.map((row, n) => argmax(row.map((value, i) => logits[n][i] / temperature + value)));
  }

  // Probabilities of a latent's categories given the image; null for a model that only knows the nearest code.
  posteriorOf(scores, latent) {
    return this.posterior ? softmax(this.rows(scores)[latent]) : null;
  }

  // Test images, each c h w.
  testImages() {
    const bytes = Uint8Array.from(atob(this.tests), (letter) => letter.charCodeAt(0));
    const length = this.image.reduce((product, side) => product * side, 1);
    return Array.from({ length: bytes.length / length }, (_, i) =>
      Float32Array.from(bytes.subarray(i * length, (i + 1) * length), (level) => level / 255),
    );
  }
}

async function fetched(file) {
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file} is not beside this page (${answer.status}); copy the whole folder`);
  return answer;
}

export async function loadModel() {
  const [content, weights] = await Promise.all([fetched("model.json"), fetched("weights.bin")]);
  return new Model(await content.json(), new Float32Array(await weights.arrayBuffer())); // both are little-endian
}

export async function loadTable() {
  return (await fetched("table.json")).json();
}
