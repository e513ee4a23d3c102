"use strict";
// The slider is a range input laid over two pictures, so that mouse, touch and keyboard all work
// as the browser has them; the pictures are those of the examples below.
const find = (id) => document.getElementById(id);
const [which, left, right, slider] = ["which", "left", "right", "slider"].map(find);
if (slider) {
  const picture = (version) => {
    const pictures = document.querySelectorAll(`[data-example="${which.value}"] img`);
    return [...pictures].find((image) => image.dataset.version === version);
  };
  const show = () => {
    for (const [target, choice] of [["over", left], ["under", right]]) {
      const source = picture(choice.value);
      find(target).src = source.src;
      find(target).alt = source.alt;
    }
  };
  const slide = () => {
    slider.parentElement.style.setProperty("--share", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % ${left.value}`);
  };
  for (const choice of [which, left, right]) choice.addEventListener("change", show);
  left.addEventListener("change", slide);
  slider.addEventListener("input", slide);
  show();
  slide();
  find("compare").hidden = false;
}
