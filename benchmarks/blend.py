"""Blend the weights of two models of one architecture: a folder between them.

python benchmarks/blend.py FIRST SECOND --share S -o FOLDER

FIRST and SECOND are model names or folders, the second trained on from the first; S is the second's
share of every weight. After Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT,
2022): between two models that one run joins, the blend keeps of both what each is better at.
"""

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    import numpy as np

    from colorcli.network import model_folder

    first, _ = model_folder.load_network(options.first)
    network, folder = model_folder.load_network(options.second)
    old, new = model_folder.arrays_of(first), model_folder.arrays_of(network)
    share = np.float32(options.share)
    model_folder.set_weights(network, {k: (1 - share) * old[k] + share * new[k] for k in new})
    made = {"blend": [options.first, options.second], "share": options.share}
    prior = np.asarray(folder.prior)
    print(model_folder.save(network, folder.config, prior, options.output, made))


if __name__ == "__main__":
    main()
