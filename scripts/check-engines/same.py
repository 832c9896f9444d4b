"""Compares a joined output with that of an uninterrupted run: same.py WHOLE MERGED OUTPUT...

Fails where an input is missing, is there twice, in the joined output or in those that were joined, or has another answer.
"""

import collections
import json
import sys


def records(path):
    with open(path, encoding="utf-8") as lines:
        # A line without an end is what a killed process was writing.
        return [json.loads(line) for line in lines if line.endswith("\n")]


def said(record):
    answers = [(answer["question"], answer["answer"], answer["token_ids"]) for answer in record["answers"]]
    return record["status"], record["digest"], record["job"], answers


def by_id(all_records, what):
    counts = collections.Counter(record["id"] for record in all_records)
    doubled = [key for key, count in counts.items() if count > 1]
    if doubled:
        sys.exit(f"{len(doubled)} inputs are in {what} more than once, such as {doubled[0]}")
    return {record["id"]: said(record) for record in all_records}


def main(whole, merged, *outputs):
    whole = by_id(records(whole), "the uninterrupted run")
    if not whole or not outputs:
        sys.exit("nothing to compare")
    by_id([record for output in outputs for record in records(output)], "the outputs")
    merged = by_id(records(merged), "the joined output")
    if missing := whole.keys() - merged.keys():
        sys.exit(f"{len(missing)} inputs are missing, such as {min(missing)}")
    if unknown := merged.keys() - whole.keys():
        sys.exit(f"{len(unknown)} inputs are unknown, such as {min(unknown)}")
    for key, record in whole.items():
        if merged[key] != record:
            sys.exit(f"{key} differs:\n{record}\n{merged[key]}")
    print(f"  {len(merged)} records, each once and as in an uninterrupted run")


main(*sys.argv[1:])
