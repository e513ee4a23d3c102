// A slider for each knob of the decoding.

function beginSliders(changed) {
  for (const { name, label, words, least, most, step } of FACTS.knobs) {
    const value = make("output", { class: "value", for: `knob-${name}` });
    const slider = make("input", {
      type: "range", id: `knob-${name}`, min: least, max: most, step,
      "aria-describedby": `about-${name}`,
      oninput: () => {
        chosen.values[name] = Number(slider.value);
        value.textContent = slider.value;
        changed();
      },
    });
    find("sliders").append(
      make("div", {}, make("label", { for: slider.id }, label, value), slider,
        make("small", { id: `about-${name}` }, words)));
  }
}

/** Lets the sliders stand as the chosen picture has them. */
function setSliders() {
  for (const { name } of FACTS.knobs) {
    const slider = find(`knob-${name}`);
    slider.value = chosen.values[name];
    slider.parentElement.querySelector("output").textContent = slider.value;
  }
}
