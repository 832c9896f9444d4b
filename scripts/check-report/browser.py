#!/usr/bin/env python3
"""Looks at a page in headless Chromium as its readers do, and fails if it is not as a report should be.

browser.py PAGE OUT    writes OUT/{light,dark,phone}.png and OUT/print.pdf

The page is opened from its file, light, dark, on a phone and on paper. It must ask for nothing but itself, log nothing,
hold no element that loads or runs something, fit a phone's width, be readable by contrast, and show more than one
colour. Chromium is spoken to over a pipe in its own protocol, so that nothing but Python is needed beside it.
"""

import base64
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib

SECONDS = 60
# What loads or runs something; the page's one `link` is its icon, as data.
FORBIDDEN = "script, img, image, iframe, object, embed, video, audio, form, base, foreignObject, link:not([href^='data:'])"
# WCAG 2.2, 1.4.3: text on its background.
CONTRAST = 4.5

LOOK = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const background = element => {
    for (; element; element = element.parentElement) {
      const found = rgb(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let texts = 0;
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.tagName === 'title' || !element.getClientRects().length) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const ink = light(rgb(element instanceof SVGElement ? style.fill : style.color));
    const paper = light(background(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < CONTRAST) faint.push(`${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
  }
  return {
    texts, faint: faint.slice(0, 5),
    forbidden: [...document.querySelectorAll(FORBIDDEN)].map(found => found.outerHTML.slice(0, 120)),
    links: [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')).filter(href => !href.startsWith('#')),
    hostile: typeof window.hostile !== 'undefined',
    handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/i.test(a.name))).length,
    wide: document.documentElement.scrollWidth - window.innerWidth,
    dark: light(rgb(getComputedStyle(document.body).backgroundColor)) < 0.2,
    plots: document.querySelectorAll('svg.strip').length,
    title: document.title,
  };
})()""".replace("FORBIDDEN", json.dumps(FORBIDDEN)).replace("CONTRAST", str(CONTRAST))


class Browser:
    """Chromium, and what it tells."""

    def __init__(self, profile):
        to_browser, ours_out = os.pipe()
        ours_in, from_browser = os.pipe()
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]
        # The protocol's descriptors are 3 and 4. They may be ours already, so both are moved out of the way first.
        shell = f'exec 20<&{to_browser} 21>&{from_browser}; exec "$@" 3<&20 4>&21 20<&- 21>&-'
        name = next((name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), None)
        if not name:
            sys.exit("no Chromium: as root, run apt-get install chromium")
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "bash", name, *flags],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.out, self.into, self.rest, self.number = ours_out, ours_in, b"", 0
        self.events, self.session = [], None

    def read(self, until):
        while b"\0" not in self.rest:
            if time.monotonic() > until:
                sys.exit("Chromium does not answer")
            piece = os.read(self.into, 1 << 20)
            if not piece:
                sys.exit("Chromium ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            answer = self.read(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        until = time.monotonic() + SECONDS
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read(until))

    def take(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]

    def evaluate(self, code):
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"the look at the page failed: {result['exceptionDetails']}")
        return result["result"]["value"]


def colours(png):
    """How many colours a PNG of 8 bits has, and the share of its commonest one."""
    place, data, header = 8, b"", None
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + size]
        header, data = (body if kind == b"IHDR" else header), (data + body if kind == b"IDAT" else data)
        place += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    step = {2: 3, 6: 4}[colour]
    assert depth == 8, depth
    lines, before, counts = zlib.decompress(data), bytearray(width * step), {}
    for row in range(height):
        start = row * (width * step + 1)
        kind, line = lines[start], bytearray(lines[start + 1 : start + 1 + width * step])
        for i in range(len(line)):
            left, up, corner = (line[i - step], before[i], before[i - step]) if i >= step else (0, before[i], 0)
            guess = left + up - corner
            nearest = min((left, up, corner), key=lambda value: abs(guess - value))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
        for x in range(0, len(line), step):
            pixel = bytes(line[x : x + 3])
            counts[pixel] = counts.get(pixel, 0) + 1
        before = line
    return len(counts), max(counts.values()) / (width * height)


def main():
    page, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    if not page.is_file():
        sys.exit(f"there is no page {page}")
    out.mkdir(parents=True, exist_ok=True)
    faults = []
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(profile)
        try:
            look_at(browser, page, out, faults)
        finally:
            browser.process.terminate()
            browser.process.wait()
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


def look_at(browser, page, out, faults):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Log", "Runtime"):
        browser.call(f"{domain}.enable")
    for name, width, height, scheme, is_phone in (
        ("light", 1280, 900, "light", False),
        ("dark", 1280, 900, "dark", False),
        ("phone", 390, 844, "light", True),
    ):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if is_phone else 1, mobile=is_phone)
        browser.call("Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.events.clear()
        browser.call("Page.navigate", url=page.as_uri())
        browser.wait("Page.loadEventFired")
        found = browser.evaluate(LOOK)
        asked = [request["request"]["url"] for request in browser.take("Network.requestWillBeSent")]
        said = [entry["entry"]["text"] for entry in browser.take("Log.entryAdded")]
        said += [str(call["args"]) for call in browser.take("Runtime.consoleAPICalled")]
        said += [str(thrown["exceptionDetails"]) for thrown in browser.take("Runtime.exceptionThrown")]
        shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        (out / f"{name}.png").write_bytes(base64.b64decode(shot))
        small = {"x": 0, "y": 0, "width": width, "height": height, "scale": 0.25}
        many, share = colours(base64.b64decode(browser.call("Page.captureScreenshot", format="png", clip=small)["data"]))
        checks = [
            ([url for url in asked if url != page.as_uri() and not url.startswith("data:")], "it asks for"),
            (asked.count(page.as_uri()) != 1, f"the page itself was not asked for once: {asked}"),
            (said, "the console says"),
            (found["forbidden"], "it holds what loads or runs something"),
            (found["links"], "it links elsewhere"),
            (found["hostile"] or found["handlers"], "a foreign text ran"),
            (max(found["wide"], 0), "it is wider than the screen by"),
            (found["faint"], f"text has less contrast than {CONTRAST}"),
            (found["dark"] != (scheme == "dark"), "it does not follow the colour scheme"),
            (not found["title"] or found["texts"] < 50 or found["plots"] < 10, f"it is nearly empty: {found}"),
            (many < 16 or share > 0.99, f"the screenshot is nearly empty: {many} colours, {share:.3f} of one"),
        ]
        faults += [f"{name}: {why}{'' if fault is True else f': {fault}'}" for fault, why in checks if fault]
        print(f"{name}: {found['texts']} texts, {found['plots']} plots, {len(asked)} request, {many} colours")
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.call("Emulation.setEmulatedMedia", media="", features=[])
    printed = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"])
    (out / "print.pdf").write_bytes(printed)
    pages = printed.count(b"/Type /Page\n") or printed.count(b"/Type /Page ")
    print(f"print: {pages} pages, {len(printed)} bytes")
    if len(printed) < 10_000:
        faults.append(f"print: {len(printed)} bytes are nearly nothing")


if __name__ == "__main__":
    main()
