"""Validates a YAML file against the schema of the newest Kubernetes that the package knows, without a cluster.

Unknown fields are refused; so is the same file with a field misspelled, by which this check is checked itself.
"""

import copy
import sys

import kubernetes_validate
import yaml


def main(path):
    version = kubernetes_validate.latest_version()
    with open(path, encoding="utf-8") as text:
        documents = list(yaml.safe_load_all(text))
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
        wrong = copy.deepcopy(document)
        wrong["spec"]["template"]["spec"]["restartPolice"] = "Never"
        try:
            kubernetes_validate.validate(wrong, version, strict=True)
        except kubernetes_validate.ValidationError:
            continue
        sys.exit("the schema takes anything")
    print(f"  {len(documents)} documents are as Kubernetes {version} has them")


main(sys.argv[1])
