"""The table of the results, in Markdown, and its place in a document."""

from pathlib import Path
from statistics import median
from textwrap import fill

from results import BUSY_SHARE
from rows import Row
from side import Side

BEGIN = "<!-- written by `make bench-peers` -->"
END = "<!-- end of what `make bench-peers` writes -->"
WIDTH = 120

INTRODUCTION = """\
`make bench-peers`: medians of runs that alternate with the rival's (least and largest in brackets), each a process of
its own that warms up first; random weights of the real shapes. {dates}, commit {commit}, threads: {threads}, {machine}.
The rivals are {rivals}. "Others" is the largest share of the machine that anything else used during a run; the ratio is
our speed over the rival's.
"""
TABLE = """\
| work | ours | rival | the rival's | ratio | bar | met | others | peak RSS, GB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
FALLBACK = """
llama.cpp's Q4_K files have the formats of ours but for the 0.5B model's rows of 896 values, which it puts into q5_0 and
we into q8_0.
"""
SCALED = """
Rows that are "scaled" took the 7B model's real shapes with fewer layers: prefill times 28/4, which counts the head 7
times on both sides; decode steps by the bytes and quantizing by the weights that the whole model has.
"""


def figure(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(values: list[float], unit: str) -> str:
    """Median, least and largest."""
    text = f"{figure(median(values))} {unit}"
    return text if len(values) < 2 else f"{text} ({figure(min(values))}-{figure(max(values))})"


def yes(met: bool) -> str:
    return "yes" if met else "no"


def lines(row: Row, records: list[dict]) -> list[str]:
    """A line for each rival, and one for an absolute bar; none where ours has not been measured."""

    def of(side: Side) -> list[dict]:
        return [r for r in records if (r["row"], r["work"], r["side"]) == (row.key, row.work, side.name)]

    def values(runs: list[dict]) -> list[float]:
        return [row.value(run["seconds"], run["amount"]) for run in runs]

    mine = of(row.ours)
    if not mine:
        return []

    def line(rival: str, theirs: str, ratio: str, bar: str, met: str, runs: list[dict], rss: str) -> str:
        others = max(run["others_share"] for run in runs)
        mark = f"**{others:.0%}**" if others > BUSY_SHARE else f"{others:.0%}"
        rss_of_both = f"{peak(mine)} / {rss}" if rss else peak(mine)
        cells = [row.work, spread(values(mine), row.unit), rival, theirs, ratio, bar, met, mark, rss_of_both]
        return f"| {' | '.join(cells)} |"

    def peak(runs: list[dict]) -> str:
        return figure(max(run["peak_rss_bytes"] for run in runs) / 1e9)

    out = []
    for side, bar in row.rivals:
        runs = of(side)
        if not runs:
            continue
        ratio = median(run["seconds"] for run in runs) / median(run["seconds"] for run in mine)
        bars = ("", "") if bar is None else (f"{bar:g}x", yes(ratio >= bar))
        theirs = spread(values(runs), row.unit)
        out.append(line(side.name, theirs, f"{ratio:.2f}x", *bars, [*mine, *runs], peak(runs)))
    if row.target is not None:
        got = median(values(mine))
        met = got <= row.target if row.unit == "s" else got >= row.target
        out.append(line("", "", "", f"{row.target:g} {row.unit}", yes(met), mine, ""))
    shares = [run["facts"].get("share_of_read") for run in mine]
    if row.read_share is not None and all(shares):
        got = median(shares)
        bar = f"{row.read_share:.0%} of the read probe"
        out.append(line("", "", f"{got:.0%} of the read probe", bar, yes(got >= row.read_share), mine, ""))
    return out


def section(rows: list[Row], records: list[dict], place: dict[str, object]) -> str:
    """The whole section."""
    versions = {record["version"] for record in records if record["version"]}
    days = sorted({record["date"].split()[0] for record in records}) or ["not measured"]
    dates = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    body = [line for row in rows for line in lines(row, records)]
    rivals = " and ".join(sorted(versions)) or "none"
    introduction = INTRODUCTION.format(dates=dates, rivals=rivals, **place)
    text = f"{fill(introduction, WIDTH)}\n\n{TABLE}" + "\n".join(body) + "\n"
    notes = [(FALLBACK, "llama.cpp Q4_K"), (SCALED, "scaled)")]
    return text + "".join(note for note, mark in notes if any(mark in line for line in body))


def insert(document: Path, text: str) -> None:
    """Replaces the section of an earlier run, or puts the first one at the end."""
    whole = document.read_text()
    block = f"{BEGIN}\n{text}{END}\n"
    if BEGIN in whole and END in whole:
        before, rest = whole.split(BEGIN, 1)
        document.write_text(before + block + rest.split(END, 1)[1].removeprefix("\n"))
    else:
        document.write_text(whole.rstrip("\n") + "\n\n" + block)
