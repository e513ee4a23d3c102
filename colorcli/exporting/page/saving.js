// Coloured photographs to files: one, or all in a ZIP.

const SUFFIXES = { "image/png": ".png", "image/jpeg": ".jpg" };
const pending = new Map(); // id to what waits for the coloured file

function typeWanted() {
  return document.querySelector("input[name=type]:checked").value;
}

/** Names as `colorize predict` gives them, each once. */
function names(pictures, type) {
  const taken = new Set();
  return pictures.map(({ name }) => {
    const stem = `${name.replace(/\.[^.]+$/, "")}-color`;
    let free = stem + SUFFIXES[type];
    for (let n = 2; taken.has(free.toLowerCase()); n++) free = `${stem}-${n}${SUFFIXES[type]}`;
    taken.add(free.toLowerCase());
    return free;
  });
}

/** The coloured file of a picture, in full size. */
function coloured(picture, type) {
  return new Promise((resolve, reject) => {
    pending.set(picture.id, { resolve, reject });
    ask({ task: "save", type, ...picture.wishes });
  });
}

function settle(id, how, what) {
  pending.get(id)?.[how](what);
  pending.delete(id);
}

function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function showProgress(share) {
  find("progress").hidden = share === null;
  find("progress").value = share ?? 0;
  for (const id of ["save", "all"]) find(id).disabled = share !== null;
}

/** Colours pictures in full, one after the other; what fails is said and left out. */
async function files(pictures) {
  const type = typeWanted();
  const done = [];
  const all = names(pictures, type);
  for (const [index, picture] of pictures.entries()) {
    saved.before = index / pictures.length;
    saved.each = 1 / pictures.length;
    say(`Saving ${picture.name}`);
    try {
      done.push({ name: all[index], blob: await coloured(picture, type) });
    } catch (error) {
      complain(`${picture.name}: ${error.message}`);
    }
  }
  return done;
}

const saved = { before: 0, each: 1 }; // where the progress of the present picture lies

async function saving(pictures, finish) {
  showProgress(0);
  try {
    const done = await files(pictures);
    if (done.length) {
      await finish(done);
      say(`Saved ${done.length === 1 ? done[0].name : `${done.length} photographs`}.`);
    } else say("Nothing could be saved.");
  } catch (error) {
    complain(`The archive: too large (${error.message}); save the photographs one by one`);
  }
  showProgress(null);
}

function beginSaving() {
  find("save").addEventListener("click", () =>
    saving([chosen], ([{ name, blob }]) => download(blob, name)));
  find("all").addEventListener("click", () =>
    saving(opened(), async (done) => download(await zipped(done), "colorize.zip")));
}
