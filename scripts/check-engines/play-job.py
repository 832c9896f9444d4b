"""Plays the Job controller: play-job.py JOB.yaml DATA OUT [OPTIONS OF batch]

Runs the pods of an Indexed Job one after another on this machine, and again as its podFailurePolicy says, then the Job
that joins their outputs. `/data` is DATA, and the outputs are in OUT.
"""

import os
import subprocess
import sys

import yaml


def action(policy, code):
    """What the first rule says that matches; Kubernetes counts what none matches."""
    for rule in policy["rules"]:
        if code in rule.get("onExitCodes", {}).get("values", []):
            return rule["action"]
    return "Count"


def main(path, data, out, *options):
    with open(path, encoding="utf-8") as text:
        job, merge = yaml.safe_load_all(text)
    spec = job["spec"]

    def run(job, index, *more):
        container = job["spec"]["template"]["spec"]["containers"][0]
        words = container["command"] + container["args"]
        for old, new in [("$(JOB_COMPLETION_INDEX)", str(index)), ("/data/captions", out), ("/data", data)]:
            words = [word.replace(old, new) for word in words]
        # The model is the check's.
        return subprocess.run([*words, *more], env=os.environ | {"JOB_COMPLETION_INDEX": str(index)}).returncode

    for index in range(spec["completions"]):
        failures = 0
        while code := run(job, index, *options):
            # Killed here is 137 there.
            code = 128 - code if code < 0 else code
            print(f"index {index} ended with {code}: {action(spec['podFailurePolicy'], code)}", flush=True)
            match action(spec["podFailurePolicy"], code):
                case "Ignore":
                    continue
                case "Count" if (failures := failures + 1) <= spec["backoffLimitPerIndex"]:
                    continue
            sys.exit(f"index {index} has failed")
    sys.exit(run(merge, ""))


main(*sys.argv[1:])
