// A canvas of the model's own pixels: draw with a finger or a mouse, or with the arrow keys.
const canvas = element.querySelector("canvas"), say = element.querySelector("[role=status]");
const pen = canvas.getContext("2d", { willReadFrequently: true });
const at = { x: Math.floor(canvas.width / 2), y: Math.floor(canvas.height / 2) };
let down = false, last = null;

function clear() {
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
}

function line(from, to) {
  pen.strokeStyle = "#fff";
  pen.lineWidth = Math.max(1.4, canvas.height * 0.085);
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(from.x + 0.5, from.y + 0.5);
  pen.lineTo(to.x + 0.501, to.y + 0.5);
  pen.stroke();
}

function send() {
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let levels = "";
  for (let i = 0; i < pixels.length; i += 4) levels += pixels[i].toString(16).padStart(2, "0");
  trigger("input", { levels });
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * canvas.width - 0.5,
    y: ((event.clientY - box.top) / box.height) * canvas.height - 0.5,
  };
}

canvas.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  canvas.focus();
  canvas.setPointerCapture(event.pointerId);
  last = place(event);
  line(last, last);
});
canvas.addEventListener("pointermove", (event) => {
  if (!last) return;
  const next = place(event);
  line(last, next);
  last = next;
});
canvas.addEventListener("pointerup", () => {
  last = null;
  send();
});
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === " ") down = !down;
  else if (!step) return;
  event.preventDefault();
  const before = { ...at };
  if (step) {
    at.x = Math.min(canvas.width - 1, Math.max(0, at.x + step[0]));
    at.y = Math.min(canvas.height - 1, Math.max(0, at.y + step[1]));
  }
  if (down) {
    line(before, at);
    send();
  }
  say.textContent = `row ${at.y + 1}, column ${at.x + 1}, pen ${down ? "down" : "up"}`;
});
element.querySelector("button").addEventListener("click", () => {
  clear();
  send();
});
clear();
