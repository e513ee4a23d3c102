// The page itself: files in by every way there is, messages to the worker and from it.

const PACKED = ["wasm", "glue", "core", "model"];
const NEEDED = ["Worker", "OffscreenCanvas", "createImageBitmap", "DecompressionStream", "WebAssembly"];

let worker = null;
let asked = null; // the picture whose opening was begun last

function ask(message, moved = []) {
  worker?.postMessage(message, moved);
}

// --- pictures ------------------------------------------------------------------------------------

function take(files) {
  for (const file of files) {
    const picture = new Picture(file);
    album.set(picture.id, picture);
    addToFilm(picture);
    ask({ task: "open", id: picture.id, file });
  }
  if (files.length) working();
}

/** The state of the work in words, and the parts of the page that there is use for. */
function working() {
  const waiting = [...album.values()].filter(({ state }) => state === "waiting").length;
  const [done, all] = [opened().length, album.size];
  document.body.classList.toggle("working", all > 0);
  find("work").hidden = !chosen;
  find("all").hidden = done < 2;
  if (!worker) return;
  if (document.documentElement.dataset.state !== "ready") say("Getting ready…");
  else if (waiting) say(`Colouring ${done + 1} of ${all}…`);
  else say(all ? `${done === 1 ? "1 photograph" : `${done} photographs`} in colour.` : "Ready.");
}

function choose(picture) {
  chosen = picture;
  markOnFilm();
  working();
  if (!picture) return;
  find("name").textContent = picture.name;
  const size = `${picture.width} × ${picture.height} pixels`;
  const loses = picture.loses.length ? `; a file saved here loses ${picture.loses.join(" and ")}` : "";
  find("facts").textContent = size + loses;
  find("frame").style.setProperty("--shape", picture.width / picture.height);
  setSliders();
  drawHints();
  ask({ task: "compare", id: picture.id });
  again();
}

function again() {
  if (chosen) ask({ task: "show", ...chosen.wishes });
}

function drop(picture) {
  ask({ task: "forget", id: picture.id });
  album.delete(picture.id);
  takeFromFilm(picture);
  if (chosen === picture) choose(opened()[0] ?? null);
  working();
}

// --- what the worker says ------------------------------------------------------------------------

const HEARD = {
  ready({ seconds }) {
    document.documentElement.dataset.state = "ready";
    document.documentElement.dataset.seconds = seconds;
    working();
  },
  broken({ why }) {
    worker = null;
    say("This browser cannot run the page.");
    complain(`The network does not start: ${why}. A current Chrome, Edge, Firefox or Safari runs it`);
  },
  opened({ id, width, height, loses, pass }) {
    const picture = album.get(id);
    if (!picture) return;
    Object.assign(picture, { state: "opened", width, height, loses, pass });
    noteOnFilm(picture, "");
    if (chosen) {
      ask({ task: "show", ...picture.wishes }); // for the film
      working();
    } else choose(picture);
  },
  refused({ id, why }) {
    const picture = album.get(id);
    if (!picture) return;
    album.delete(id);
    takeFromFilm(picture);
    complain(`${picture.name}: ${why}`);
    working();
  },
  shown({ id, width, height, buffer }) {
    const picture = album.get(id);
    if (!picture) return;
    const data = new ImageData(new Uint8ClampedArray(buffer), width, height);
    if (picture === chosen) {
      showAfter(picture, data);
      drawOnFilm(picture, find("after"));
    } else createImageBitmap(data).then((bitmap) => drawOnFilm(picture, bitmap));
  },
  compared({ id, before }) {
    if (id === chosen?.id) showBefore(before);
  },
  progress({ share }) {
    showProgress(saved.before + share * saved.each * 0.9);
  },
  saved({ id, blob }) {
    settle(id, "resolve", blob);
  },
  failed({ id, why }) {
    if (pending.has(id)) settle(id, "reject", new Error(why));
    else complain(`${album.get(id)?.name ?? "The page"}: ${why}`);
  },
};

/** Starts the worker; the pictures that an earlier one had opened are known to it by their files. */
async function start() {
  const code = await unpacked(find("worker").textContent);
  worker = new Worker(scriptUrl(code));
  worker.onmessage = ({ data }) => {
    asked = data.did === "opened" || data.did === "refused" ? null : asked;
    HEARD[data.did](data);
  };
  worker.onerror = crashed;
  const packed = Object.fromEntries(PACKED.map((id) => [id, find(id).textContent]));
  ask({ task: "begin", packed });
  for (const { id, file, state } of album.values()) {
    ask({ task: state === "opened" ? "adopt" : "open", id, file });
  }
}

/** The worker has died, of memory most likely: the rest goes on in another one. */
function crashed(event) {
  event.preventDefault();
  worker.terminate();
  const unlucky = [...album.values()].find(({ state }) => state === "waiting");
  if (unlucky) HEARD.refused({ id: unlucky.id, why: "the browser ran out of memory with it" });
  for (const id of [...pending.keys()]) {
    settle(id, "reject", new Error("the browser ran out of memory"));
  }
  start();
}

// --- ways in -------------------------------------------------------------------------------------

function beginTaking() {
  for (const id of ["choose", "photograph"]) {
    find(id).addEventListener("change", ({ target }) => {
      take([...target.files]);
      target.value = ""; // so that the same file may be chosen again
    });
  }
  const over = (is) => (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", is);
  };
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    take([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
}

function beginButtons() {
  find("reset").addEventListener("click", () => {
    chosen.values = neutralOr((knob) => knob.default);
    setSliders();
    again();
  });
  find("share").addEventListener("click", () => {
    for (const picture of opened()) {
      picture.values = { ...chosen.values };
      ask({ task: "show", ...picture.wishes });
    }
  });
  find("remove").addEventListener("click", () => drop(chosen));
}

document.addEventListener("DOMContentLoaded", () => {
  const missing = NEEDED.filter((name) => !(name in self));
  if (missing.length) {
    HEARD.broken({ why: `this browser lacks ${missing.join(", ")}` });
    return;
  }
  beginTaking();
  beginComparing();
  beginSliders(again);
  beginHints(again);
  beginSaving();
  beginButtons();
  start().catch((error) => HEARD.broken({ why: error.message }));
});
