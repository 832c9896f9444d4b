"""The mean of the weights of several checkpoints of one training: python average.py MODEL MODEL... OUT."""

import argparse

import torch

import checkpoint


def mean(folders):
    """The model whose weights are the means of those of the checkpoints in folders."""
    models = [checkpoint.load(folder) for folder in folders]
    with torch.no_grad():
        for parameters in zip(*(model.parameters() for model in models)):
            parameters[0].copy_(torch.stack(parameters).mean(0))
    return models[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("out", metavar="OUT")
    args = parser.parse_args()
    checkpoint.save(mean(args.models), args.out)


if __name__ == "__main__":
    main()
