// The photographs on the page, which of them is looked at, and the parts of the page by their ids.

const find = (id) => document.getElementById(id);

const album = new Map(); // id to picture
let chosen = null; // the picture that is looked at

/** A photograph as the page knows it: `state` is waiting, opened or refused. */
class Picture {
  static #count = 0;

  constructor(file) {
    this.id = ++Picture.#count;
    this.file = file;
    this.name = file.name || "pasted picture.png";
    this.state = "waiting";
    this.values = neutralOr((knob) => knob.default);
    this.hints = []; // {x, y} in 0…1, `rgb`: what to look like; `kept`: as without hints
    this.after = null; // ImageData, while it is looked at
  }

  /** What the worker needs to know to colour it. */
  get wishes() {
    const hints = this.hints.map(({ x, y, rgb, kept }) => ({ x, y, rgb: kept ? null : rgb }));
    return { id: this.id, values: this.values, hints };
  }
}

function neutralOr(value) {
  return Object.fromEntries(FACTS.knobs.map((knob) => [knob.name, value(knob)]));
}

function opened() {
  return [...album.values()].filter(({ state }) => state === "opened");
}

/** An element with attributes and content; `on…` are listeners. */
function make(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...content);
  return element;
}

/** A button for `action`. */
function button(label, action, attributes = {}) {
  return make("button", { type: "button", onclick: action, ...attributes }, label);
}

function say(words) {
  find("state").textContent = words;
}

/** A sentence about something that could not be done, which stays until it is put away. */
function complain(words) {
  const item = make("li", {}, make("span", {}, words));
  item.append(button("Close", () => item.remove(), { "aria-label": `Close: ${words}` }));
  find("problems").append(item);
}
