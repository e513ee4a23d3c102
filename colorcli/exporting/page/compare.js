// The line between the photograph as it was and in colour: a slider below it, which keyboard and
// screen reader use, and a handle on it, which mouse and finger may drag.

function cut(share) {
  find("cut").value = share;
  find("cut").setAttribute("aria-valuetext", `${Math.round(share)} % as it was`);
  find("frame").style.setProperty("--cut", `${share}%`);
}

function beginComparing() {
  const divider = find("divider");
  find("cut").addEventListener("input", ({ target }) => cut(Number(target.value)));
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const { left, width } = find("frame").getBoundingClientRect();
    cut(Math.min(Math.max(((event.clientX - left) / width) * 100, 0), 100));
  });
  cut(Number(find("cut").value));
}

/** Draws a picture on one of the two canvases, which take its size. */
function drawOn(id, width, height, draw) {
  const canvas = find(id);
  [canvas.width, canvas.height] = [width, height];
  draw(canvas.getContext("2d"));
}

function showAfter(picture, data) {
  picture.after = data;
  drawOn("after", data.width, data.height, (context) => context.putImageData(data, 0, 0));
  find("after").setAttribute("aria-label", `${picture.name} in colour`);
}

function showBefore(bitmap) {
  drawOn("before", bitmap.width, bitmap.height, (context) => context.drawImage(bitmap, 0, 0));
  bitmap.close();
}
