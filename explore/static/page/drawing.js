// Drawing on an image of one channel: with a pointer, or with arrow keys that move a brush and the space bar.

import { paint } from "./charts.js";

const REACH = 0.9; // radius of the brush in pixels of an image of 28 pixels

// `changed` is called with the image after each stroke; `image()` replaces it.
export function startDrawing(canvas, help, shape, binary, changed) {
  const [channels, height, width] = shape;
  const state = { image: new Float32Array(channels * height * width), at: [height >> 1, width >> 1], down: false };
  const reach = Math.max(0.5, (REACH * width) / 28);

  function stroke(row, column) {
    for (let r = 0; r < height; r++) {
      for (let c = 0; c < width; c++) {
        const near = Math.max(0, 1 + reach - Math.hypot(r + 0.5 - row, c + 0.5 - column));
        const ink = binary ? Number(near > 1) : Math.min(1, near);
        if (ink > state.image[r * width + c]) state.image[r * width + c] = ink;
      }
    }
    show();
    changed(state.image);
  }

  function show() {
    paint(canvas, state.image, shape);
  }

  function pointer(event) {
    const box = canvas.getBoundingClientRect();
    stroke(((event.clientY - box.top) / box.height) * height, ((event.clientX - box.left) / box.width) * width);
  }

  if (channels === 1) {
    canvas.setAttribute("aria-label", "your image: draw with a pointer, or move with the arrow keys and draw with space");
    help.textContent = "Draw here: with a pointer, or with the arrow keys and the space bar.";
    canvas.addEventListener("pointerdown", (event) => {
      state.down = true;
      canvas.setPointerCapture(event.pointerId);
      pointer(event);
    });
    canvas.addEventListener("pointermove", (event) => state.down && pointer(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (state.down = false));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step && event.key !== " ") return;
      event.preventDefault();
      if (step) state.at = state.at.map((place, axis) => Math.min(Math.max(place + step[axis], 0), [height, width][axis] - 1));
      else stroke(state.at[0] + 0.5, state.at[1] + 0.5);
      help.textContent = `The brush is at row ${state.at[0] + 1}, column ${state.at[1] + 1}.`;
    });
  } else {
    canvas.setAttribute("aria-label", "the image");
    help.textContent = "Images in colour are not drawn; take a test image.";
  }
  return {
    set(image) {
      state.image = Float32Array.from(image);
      show();
      changed(state.image);
    },
    clear() {
      this.set(new Float32Array(state.image.length));
    },
  };
}
