// Hints on the photograph: each is a colour input that lies where it counts. A click on the
// photograph makes one; drag or the arrow keys move it, Delete takes it away.

const SLACK = 4; // pixels that a finger may shake in a click
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let hintsChanged = () => {};

const hexOf = (rgb) => `#${rgb.map((level) => level.toString(16).padStart(2, "0")).join("")}`;
const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const bounded = (share) => Math.min(Math.max(share, 0), 1);

/** Red, green and blue of the coloured preview at a place. */
function colourAt({ after }, x, y) {
  const column = Math.min(Math.floor(x * after.width), after.width - 1);
  const row = Math.min(Math.floor(y * after.height), after.height - 1);
  return [...after.data.subarray(4 * (row * after.width + column)).subarray(0, 3)];
}

/** Where on the photograph, in 0…1, an event of the mouse or a finger is. */
function placeOf(event) {
  const { left, top, width, height } = find("frame").getBoundingClientRect();
  return [bounded((event.clientX - left) / width), bounded((event.clientY - top) / height)];
}

function addHint(x, y) {
  const hint = { x, y, rgb: colourAt(chosen, x, y) };
  chosen.hints.push(hint);
  drawHints();
  hintsChanged();
  return find("hints").lastElementChild;
}

function removeHint(hint) {
  chosen.hints = chosen.hints.filter((other) => other !== hint);
  drawHints();
  hintsChanged();
}

function grayed(hint) {
  const mean = Math.round(hint.rgb.reduce((sum, level) => sum + level, 0) / 3);
  Object.assign(hint, { rgb: [mean, mean, mean], kept: false });
  drawHints();
  hintsChanged();
}

/** Lets the place stay as the network has it, whatever hints there are elsewhere. */
function kept(hint) {
  hint.kept = true;
  listHints();
  hintsChanged();
}

function place(input, hint) {
  input.style.left = `${hint.x * 100}%`;
  input.style.top = `${hint.y * 100}%`;
}

/** Lets a marker be dragged; the click that ends a drag opens no colour chooser. */
function draggable(input, hint) {
  let from = null;
  let dragged = false;
  input.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY];
    dragged = false;
    input.setPointerCapture(event.pointerId);
  });
  input.addEventListener("pointermove", (event) => {
    if (!from) return;
    dragged ||= Math.hypot(event.clientX - from[0], event.clientY - from[1]) > SLACK;
    if (!dragged) return;
    [hint.x, hint.y] = placeOf(event);
    place(input, hint);
    hintsChanged();
  });
  input.addEventListener("pointerup", () => (from = null));
  input.addEventListener("click", (event) => dragged && event.preventDefault());
}

function byKeyboard(input, hint) {
  input.addEventListener("keydown", (event) => {
    if (event.key === "Delete" || event.key === "Backspace") {
      removeHint(hint);
      find("add").focus();
    } else if (event.key in ARROWS) {
      const step = event.shiftKey ? 0.05 : 0.01;
      const [right, down] = ARROWS[event.key];
      [hint.x, hint.y] = [bounded(hint.x + right * step), bounded(hint.y + down * step)];
      place(input, hint);
      hintsChanged();
    } else return;
    event.preventDefault();
  });
}

function marker(hint, number) {
  const label = `Hint ${number}: its colour. Arrow keys move it, Delete takes it away`;
  const input = make("input", { type: "color", value: hexOf(hint.rgb), "aria-label": label });
  input.addEventListener("input", () => {
    Object.assign(hint, { rgb: rgbOf(input.value), kept: false });
    listHints();
    hintsChanged();
  });
  place(input, hint);
  draggable(input, hint);
  byKeyboard(input, hint);
  return input;
}

function listHints() {
  find("list").replaceChildren(...chosen.hints.map((hint, index) => {
    const swatch = make("i", { "aria-hidden": "true" });
    const words = hint.kept ? "as it was" : hexOf(hint.rgb);
    swatch.style.background = hint.kept ? "none" : words;
    const of = `hint ${index + 1}`;
    return make("li", {}, make("div", {}, swatch, words,
      button("Keep", () => kept(hint), { "aria-label": `As without hints at ${of}` }),
      button("Gray", () => grayed(hint), { "aria-label": `Gray for ${of}` }),
      button("Remove", () => removeHint(hint), { "aria-label": `Remove ${of}` })));
  }));
}

function drawHints() {
  find("hints").replaceChildren(...chosen.hints.map((hint, index) => marker(hint, index + 1)));
  listHints();
}

function beginHints(changed) {
  hintsChanged = changed;
  find("after").addEventListener("click", (event) => {
    if (!chosen?.after) return;
    const input = addHint(...placeOf(event));
    input.focus();
    try {
      input.showPicker();
    } catch {
      // The browser opens it on the next click.
    }
  });
  find("add").addEventListener("click", () => addHint(0.5, 0.5).focus());
}
