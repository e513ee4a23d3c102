// The row of small pictures below the photograph: which there are, and which is looked at.

const FILM = 112; // pixels of a small picture's width

function addToFilm(picture) {
  const small = make("canvas", { width: FILM, height: Math.round(FILM * 0.75) });
  const label = make("span", {}, picture.name);
  const note = make("span", {}, "waiting");
  const entry = button("", () => choose(picture), { disabled: "" });
  entry.append(small, label, note);
  const item = make("li", {}, entry);
  picture.film = { item, entry, small, note };
  find("film").append(item);
}

/** A state in words below a small picture; none once it is opened. */
function noteOnFilm(picture, words) {
  picture.film.note.textContent = words;
  picture.film.note.hidden = !words;
  picture.film.entry.disabled = picture.state === "waiting";
}

function drawOnFilm(picture, source) {
  const { small } = picture.film;
  const scale = Math.min(1, (2 * FILM) / Math.max(source.width, source.height));
  small.width = Math.max(1, Math.round(source.width * scale));
  small.height = Math.max(1, Math.round(source.height * scale));
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, small.width, small.height);
}

function takeFromFilm(picture) {
  picture.film.item.remove();
}

function markOnFilm() {
  for (const { film } of album.values()) {
    film.entry.removeAttribute("aria-current");
  }
  chosen?.film.entry.setAttribute("aria-current", "true");
}
