// The network in LiteRT.js, inside a worker: made of texts of the page, without a request.

/** What the runtime says of itself; none of it is an error, though it says it as one. */
function quietly(words) {
  console.debug(words);
}

/** Whoever holds it calls `logits`; the runtime is single-threaded and keeps its own memory. */
class Network {
  /** `packed` holds the texts `wasm`, `glue`, `core` and `model`. */
  static async open(packed) {
    const names = Object.keys(packed);
    const parts = await Promise.all(names.map((name) => unpacked(packed[name])));
    const { wasm, glue, core, model } = Object.fromEntries(names.map((n, i) => [n, parts[i]]));
    // What @litertjs/wasm-utils does, with the WebAssembly given instead of fetched.
    self.createWasmLib = async (LiteRt) => {
      importScripts(scriptUrl(glue));
      const module = await self.ModuleFactory({ wasmBinary: wasm, print: quietly, printErr: quietly });
      return new LiteRt(module);
    };
    const { loadLiteRt, loadAndCompile, Tensor } = await import(scriptUrl(core));
    await loadLiteRt("litert.js");
    const compiled = await loadAndCompile(model, { accelerator: "wasm" });
    return new Network(compiled, Tensor);
  }

  constructor(model, Tensor) {
    Object.assign(this, { model, Tensor });
  }

  /** Bin logits (cells, Q) of L (side × side). */
  async logits(lightness) {
    const side = FACTS.side;
    const inputs = { L: new this.Tensor(lightness, [1, side, side, 1]) };
    for (const { name, neutral } of FACTS.knobs) {
      if (name in ON_LOGITS) inputs[name] = new this.Tensor(Float32Array.of(neutral), [1]);
    }
    const outputs = await this.model.run(inputs);
    const logits = (await outputs.logits.data()).slice();
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
    return logits;
  }
}
