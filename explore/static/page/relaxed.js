// One choice of k categories, as models/relaxed/sampling.py computes it: Gumbel-Softmax (Jang et al. 2017, eq. 2) and
// argmax. Rows are arrays of k numbers.

// Uniform numbers in (0, 1) from a seed (mulberry32), so that the same seed shows the same draws.
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (((bits ^ (bits >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

// Standard Gumbel noise, d rows of k.
export function gumbelNoise(random, d, k) {
  return Array.from({ length: d }, () => Array.from({ length: k }, () => -Math.log(-Math.log(random()))));
}

export function softmax(row, temperature = 1) {
  const largest = Math.max(...row);
  const weights = row.map((value) => Math.exp((value - largest) / temperature));
  const total = weights.reduce((sum, value) => sum + value, 0);
  return weights.map((value) => value / total);
}

// Index of the largest entry, the first on ties.
export function argmax(row) {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i;
  return best;
}

export function oneHot(index, k) {
  return Array.from({ length: k }, (_, i) => (i === index ? 1 : 0));
}

export function gumbelSoftmax(logits, temperature, noise) {
  return softmax(logits.map((value, i) => value + noise[i]), temperature);
}

// Relaxed draws, the one-hot draws of the same noise, and how often each category is the largest.
export function draw(logits, temperature, noise) {
  const k = logits.length;
  const soft = noise.map((row) => gumbelSoftmax(logits, temperature, row));
  const hard = noise.map((row) => oneHot(argmax(logits.map((value, i) => value + row[i])), k));
  const frequency = logits.map((_, i) => hard.reduce((sum, row) => sum + row[i], 0) / hard.length);
  return { soft, hard, frequency, probabilities: softmax(logits) };
}
