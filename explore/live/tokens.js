// Alternatives of a sentence: the one that is pressed is sent with its place.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-place]");
  if (button) trigger("input", { place: Number(button.dataset.place), token: Number(button.dataset.token) });
});
