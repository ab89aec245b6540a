// The layers of a network, as explore/static/graph.py describes them. A value is {data, shape}: numbers in the order of
// torch, one image, no batch. Sums are in double precision, results in float32.

import { oneHot } from "./relaxed.js";

const size = (shape) => shape.reduce((product, side) => product * side, 1);

export function run(layers, value, numbers) {
  return layers.reduce((x, layer) => OPS[layer.op](layer, x, numbers), value);
}

// Numbers of a weight; none for a bias that is not there.
export function take(numbers, place) {
  return place && numbers.subarray(place.offset, place.offset + size(place.shape));
}

function affine(layer, x, numbers) {
  const scale = take(numbers, layer.scale);
  const shift = take(numbers, layer.shift);
  const scaled = x.data.length / scale.length; // one number, or one per channel, is repeated
  const shifted = x.data.length / shift.length;
  const data = x.data.map((v, i) => scale[Math.floor(i / scaled)] * v + shift[Math.floor(i / shifted)]);
  return { data, shape: x.shape };
}

function linear(layer, x, numbers) {
  const weight = take(numbers, layer.weight);
  const bias = take(numbers, layer.bias);
  const [outputs, inputs] = layer.weight.shape;
  const data = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let sum = bias ? bias[o] : 0;
    for (let i = 0, at = o * inputs; i < inputs; i++, at++) sum += weight[at] * x.data[i];
    data[o] = sum;
  }
  return { data, shape: [outputs] };
}

function convolution(layer, x, numbers) {
  const weight = take(numbers, layer.weight);
  const bias = take(numbers, layer.bias);
  const [, inputs, side] = layer.weight.shape;
  const [, height, width] = x.shape;
  const [outputs, high, wide] = layer.shape;
  const data = new Float32Array(outputs * high * wide);
  for (let o = 0, at = 0; o < outputs; o++) {
    for (let row = 0; row < high; row++) {
      for (let column = 0; column < wide; column++, at++) {
        let sum = bias ? bias[o] : 0;
        const top = row * layer.stride - layer.padding;
        const left = column * layer.stride - layer.padding;
        for (let i = 0; i < inputs; i++) {
          for (let r = Math.max(0, -top); r < Math.min(side, height - top); r++) {
            const from = (i * height + top + r) * width + left;
            const kernel = ((o * inputs + i) * side + r) * side;
            for (let c = Math.max(0, -left); c < Math.min(side, width - left); c++) {
              sum += weight[kernel + c] * x.data[from + c];
            }
          }
        }
        data[at] = sum;
      }
    }
  }
  return { data, shape: layer.shape };
}

// A transposed convolution: each input adds its kernel to the output.
function transposed(layer, x, numbers) {
  const weight = take(numbers, layer.weight);
  const bias = take(numbers, layer.bias);
  const [inputs, outputs, side] = layer.weight.shape;
  const [, height, width] = x.shape;
  const [, high, wide] = layer.shape;
  const sums = new Float64Array(outputs * high * wide);
  if (bias) for (let o = 0; o < outputs; o++) sums.fill(bias[o], o * high * wide, (o + 1) * high * wide);
  for (let i = 0; i < inputs; i++) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const value = x.data[(i * height + row) * width + column];
        if (value === 0) continue; // as after a ReLU
        const top = row * layer.stride - layer.padding;
        const left = column * layer.stride - layer.padding;
        for (let o = 0; o < outputs; o++) {
          for (let r = Math.max(0, -top); r < Math.min(side, high - top); r++) {
            const to = (o * high + top + r) * wide + left;
            const kernel = ((i * outputs + o) * side + r) * side;
            for (let c = Math.max(0, -left); c < Math.min(side, wide - left); c++) {
              sums[to + c] += weight[kernel + c] * value;
            }
          }
        }
      }
    }
  }
  return { data: Float32Array.from(sums), shape: layer.shape };
}

// k h w to positions and categories, n k.
function positions(layer, x) {
  const [k, h, w] = x.shape;
  const n = h * w;
  const data = new Float32Array(n * k);
  for (let c = 0; c < k; c++) for (let p = 0; p < n; p++) data[p * k + c] = x.data[c * n + p];
  return { data, shape: [n, k] };
}

// Codes n to their vectors, d h w.
function embed(layer, x, numbers) {
  const table = take(numbers, layer.table);
  const d = layer.table.shape[1];
  const n = x.data.length;
  const data = new Float32Array(n * d);
  for (let p = 0; p < n; p++) for (let i = 0; i < d; i++) data[i * n + p] = table[x.data[p] * d + i];
  return { data, shape: layer.shape };
}

function oneHots(layer, x) {
  const data = Float32Array.from([...x.data].flatMap((code) => oneHot(code, layer.categories)));
  return { data, shape: [data.length] };
}

function residual(layer, x, numbers) {
  const branch = run(layer.branch, x, numbers);
  return { data: x.data.map((v, i) => v + branch.data[i]), shape: x.shape };
}

const each = (f) => (layer, x) => ({ data: x.data.map(f), shape: x.shape });

const OPS = {
  affine,
  linear,
  convolution,
  transposed,
  positions,
  embed,
  one_hot: oneHots,
  residual,
  reshape: (layer, x) => ({ data: x.data, shape: layer.shape }),
  relu: each((v) => Math.max(v, 0)),
  tanh: each(Math.tanh),
  sigmoid: each((v) => 1 / (1 + Math.exp(-v))),
};
