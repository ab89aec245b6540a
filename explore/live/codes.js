// Fields of codes: a changed one is sent with its number, and so is the one that has the focus.
element.addEventListener("change", (event) => {
  const field = event.target;
  if (field.dataset.index === undefined) return;
  trigger("input", { index: Number(field.dataset.index), code: field.value === "" ? null : Number(field.value) });
});
element.addEventListener("focusin", (event) => {
  if (event.target.dataset.index !== undefined) trigger("select", { index: Number(event.target.dataset.index) });
});
