"""Print the licences of all crates that are linked into the program, with their texts, each text once.

    python3 scripts/third-party-licences.py [FEATURES] > third-party.txt
"""

import json
import subprocess
import sys
from pathlib import Path

NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")


def metadata(features: str) -> dict:
    host = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    triple = next(line.removeprefix("host: ") for line in host.splitlines() if line.startswith("host: "))
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", triple]
    command += ["--features", features]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def linked(data: dict) -> list[dict]:
    """The packages that the program depends on, build scripts' and tests' own left out."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    found, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        for dependency in nodes[node]["deps"]:
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_normal and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    packages = [package for package in data["packages"] if package["id"] in found]
    return sorted(packages, key=lambda package: (package["name"], package["version"]))


def texts(package: dict) -> list[str]:
    folder = Path(package["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.upper().startswith(NAMES)]
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]


def main() -> None:
    packages = linked(metadata(sys.argv[1] if len(sys.argv) > 1 else ""))
    users: dict[str, list[str]] = {}
    print("llava-video is linked with these crates:\n")
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {package['license'] or 'see its text'}")
        for text in texts(package):
            users.setdefault(text, []).append(name)
    for text, names in users.items():
        print(f"\n{'-' * 100}\n{', '.join(names)}:\n\n{text}")


if __name__ == "__main__":
    main()
