"""The results so far: one line of JSON a run, so that a measurement that was stopped can go on."""

import json
import time
from pathlib import Path

from rows import Row
from side import Side

# A run counts if nothing else used more of the machine than this.
BUSY_SHARE = 0.10


class Results:
    """What has been measured at this commit on this machine, in a file of one line a run."""

    def __init__(self, path: Path, place: dict[str, object], forgotten: set[str]) -> None:
        self.path, self.place = path, place
        lines = path.read_text().splitlines() if path.exists() else []
        everything = [json.loads(line) for line in lines]
        if forgotten:
            everything = [record for record in everything if not (self.is_here(record) and record["row"] in forgotten)]
            path.write_text("".join(json.dumps(record) + "\n" for record in everything))
        # Of a run that was measured again, the last one.
        names = ("row", "work", "round", "side")
        latest = {tuple(record[name] for name in names): record for record in everything if self.is_here(record)}
        self.records = list(latest.values())

    def is_here(self, record: dict[str, object]) -> bool:
        return all(record[key] == value for key, value in self.place.items())

    def of_round(self, row: Row, number: int) -> list[dict]:
        wanted = (row.key, row.work, number)
        return [record for record in self.records if (record["row"], record["work"], record["round"]) == wanted]

    def has_round(self, row: Row, number: int, busy_ok: bool) -> bool:
        """Whether every side has a run that nothing disturbed."""
        runs = self.of_round(row, number)
        done = {run["side"] for run in runs if busy_ok or run["others_share"] <= BUSY_SHARE}
        return done >= {side.name for side in row.sides}

    def drop_round(self, row: Row, number: int) -> None:
        dropped = self.of_round(row, number)
        self.records = [record for record in self.records if record not in dropped]

    def add(self, row: Row, number: int, side: Side, result: dict[str, object]) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        name = {"row": row.key, "work": row.work, "round": number, "side": side.name}
        record = {**name, **self.place, "date": now, **result}
        self.records.append(record)
        with self.path.open("a") as opened:
            opened.write(json.dumps(record) + "\n")
