"""Photographs the live view for docs/live.md: trains for a minute, and needs Chromium.

python docs/images/live_view.py
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from chainrule import data, nn, optim, random, train
from tests.train.live.browser import headless

HERE = Path(__file__).resolve().parent


def flatten(x):
    """Return each example in one row."""
    return x.reshape(len(x), -1)


def network():
    """Return a small convolutional network."""
    keys = random.split(random.key(0), 4)
    kinds = {"dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d.init(keys[0], 1, 8, 3, padding="same", **kinds), nn.relu,
        nn.Conv2d.init(keys[1], 8, 16, 3, padding="same", **kinds), nn.relu, nn.MaxPool2d(2),
        flatten, nn.Linear.init(keys[2], 256, 32, **kinds), nn.relu,
        nn.Linear.init(keys[3], 32, 10, **kinds),
    )  # fmt: skip


def learn(folder):
    """Train it on digits."""
    learned, test = ((x.reshape(-1, 1, 8, 8), y) for x, y in data.digits())
    train.fit(
        network(), train.supervised(nn.cross_entropy), learned, optim.adam(0.002), epochs=20,
        validation=test, metrics={"accuracy": train.supervised(train.accuracy)}, folder=folder,
        live=train.LiveView(serve=False),
    )  # fmt: skip


def photograph(file):
    """Take the pictures."""
    with headless() as browser:
        page = browser.new_page(viewport={"width": 1180, "height": 720})
        page.goto(file.as_uri())
        box = page.locator("#curves canvas").first.bounding_box()
        page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 90)
        shoot(page, "live_curves")
        page.click("#tab-gradient-flow")
        page.emulate_media(color_scheme="dark")
        shoot(page, "live_flow")


def shoot(page, name):
    """Take one picture, in few colours."""
    page.wait_for_timeout(500)
    path = HERE / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        run = Path(place, "digits")
        learn(run)
        train.write_view(run, run / "run.html")
        photograph(run / "run.html")
