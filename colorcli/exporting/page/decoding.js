// From logits over ab bins to one colour: the twin of network/decoding.py. FACTS.knobs are its rows;
// ON_LOGITS and ON_AB say what each does, by name, in the rows' own words.

const BINS = FACTS.centres.length / 2;

/** The knobs of a table in their order, each with its value. */
function acting(table, values) {
  return FACTS.knobs
    .filter(({ name }) => name in table)
    .map(({ name }) => ({ apply: table[name], value: values[name] }));
}

/** Probabilities (cells, Q) of logits (cells, Q) after the knobs that act on logits. */
function distribution(logits, values) {
  const knobs = acting(ON_LOGITS, values);
  const out = new Float32Array(logits.length);
  const e = new Float64Array(BINS);
  for (let start = 0; start < logits.length; start += BINS) {
    let most = -Infinity;
    for (let q = 0; q < BINS; q++) {
      let logit = logits[start + q];
      for (const { apply, value } of knobs) logit = apply(logit, value, FACTS.logPrior[q]);
      e[q] = logit;
      if (logit > most) most = logit;
    }
    let sum = 0;
    for (let q = 0; q < BINS; q++) sum += e[q] = Math.exp(e[q] - most);
    for (let q = 0; q < BINS; q++) out[start + q] = e[q] / sum;
  }
  return out;
}

/** The mean colour (cells, 2) of distributions over the bins. */
function meanColour(probabilities) {
  const cells = probabilities.length / BINS;
  const ab = new Float32Array(2 * cells);
  for (let cell = 0; cell < cells; cell++) {
    let [a, b] = [0, 0];
    for (let q = 0, at = cell * BINS; q < BINS; q++, at++) {
      a += probabilities[at] * FACTS.centres[2 * q];
      b += probabilities[at] * FACTS.centres[2 * q + 1];
    }
    ab[2 * cell] = a;
    ab[2 * cell + 1] = b;
  }
  return ab;
}

/** ab (cells, 2) of logits, by the values of all knobs that act before hints. */
function decoded(logits, values) {
  return meanColour(distribution(logits, values));
}

/** ab after the knobs that act on it. */
function after(ab, values) {
  const knobs = acting(ON_AB, values);
  return ab.map((number) => knobs.reduce((n, { apply, value }) => apply(n, value), number));
}
