"""The live view as a person meets it: in a real browser."""

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from chainrule import train
from chainrule.train.live import Server
from tests.train.live.browser import headless
from tests.train.live.runs import HOSTILE, METRIC, append_step, fit, write_long_run

pytestmark = pytest.mark.slow

TABS = ("curves", "gradient-flow", "histograms", "predictions", "filters")
PATIENCE = 60_000  # ms; machines that test are busy


@pytest.fixture(scope="module")
def browser():
    with headless() as running:
        yield running


@pytest.fixture
def page(browser):
    """A page that notes what it asks for and what goes wrong in it."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.requested, page.errors = [], []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: note_error(page, line))
    yield page
    context.close()
    assert not page.errors


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with hostile names that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    live = train.LiveView(serve=False, share=1.0, class_names=["left", HOSTILE])
    fit(folder, steps=60, live=live, metric=METRIC)
    return folder


def note_error(page, line):
    # a refusal and a server that is gone are told as errors, too: they are meant
    meant = ("Failed to load resource", "Content Security Policy")
    if line.type == "error" and not any(text in line.text for text in meant):
        page.errors.append(line.text)


class Training(threading.Thread):
    """A run that goes on by itself, a step every few hundredths of a second, until it is told."""

    def __init__(self, folder, **options):
        super().__init__(daemon=True)
        self.live = train.LiveView(share=1.0)
        self.enough = threading.Event()
        self.folder, self.options = folder, options
        self.start()
        while self.live.url is None:
            time.sleep(0.01)

    def run(self):
        def slowly(event, run):
            time.sleep(0.03 if event["event"] == "step" else 0)
            return self.enough.is_set()

        fit(self.folder, steps=100_000, live=self.live, callbacks=[slowly], **self.options)

    def end(self):
        self.enough.set()
        self.join(30)
        assert not self.is_alive()


def step_shown(page):
    text = page.locator("#facts dd").first.inner_text().replace("\u202f", "")
    return int(text.split()[0])


def until(page, holds):
    """Wait from here: the page's policy forbids what Playwright's own waiting evaluates."""
    end = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < end, page.inner_text("body")
        page.wait_for_timeout(50)


def wait_for_step(page, step):
    page.wait_for_selector("#facts dd", state="attached")
    until(page, lambda: step_shown(page) >= step)


def wait_for_label(page, text):
    until(page, lambda: text in (page.locator("#curves canvas").first.get_attribute("aria-label")))


def curve(page):
    """What the plot of the loss says of itself, and how it looks."""
    canvas = page.locator("#curves canvas").first
    return canvas.get_attribute("aria-label"), canvas.evaluate("canvas => canvas.toDataURL()")


class TestWhileTraining:
    def test_curves_move_and_survive_a_reload_and_a_restart(self, page, tmp_path, capfd):
        training = Training(tmp_path)
        url = training.live.url
        page.goto(url)
        wait_for_step(page, 5)
        assert page.inner_text("#status") == "running"
        before, step = curve(page), step_shown(page)
        wait_for_step(page, step + 10)
        after = curve(page)
        assert before[0] != after[0]
        assert before[1] != after[1]

        page.reload()
        wait_for_step(page, step + 10)
        page.click("#tab-gradient-flow")
        page.wait_for_selector("text=layers[3].bias")
        page.reload()  # it comes back to the same tab
        assert page.locator("#gradient-flow").is_visible()

        training.end()
        page.wait_for_selector("#status:has-text('finished: callback')")
        last = step_shown(page)
        training.live.close()
        page.wait_for_selector("#status:has-text('not connected')")
        for tab in TABS:  # what was loaded stays, and a click does no harm
            page.click(f"#tab-{tab}")
        page.click("#tab-curves")
        again = Training(tmp_path, resume=True)
        assert again.live.url == url
        page.wait_for_selector("#status:has-text('running')")
        wait_for_step(page, last + 5)
        again.end()
        again.live.close()
        assert "Traceback" not in capfd.readouterr().err
        for asked in page.requested:
            assert asked.startswith((url, "data:image/svg")), asked

    def test_a_killed_run_that_is_resumed_shows_each_step_once(self, page, tmp_path):
        write_long_run(tmp_path, 50)
        with Server(tmp_path) as server, open(tmp_path / "events.jsonl", "a", buffering=1) as file:
            page.goto(server.url)
            wait_for_step(page, 50)
            fields = '"step": 20, "epoch": 0, "evaluated": true'
            file.write(f'{{"event": "resume", "time": 9.0, {fields}}}\n')
            append_step(file, 21, 0.125)
            wait_for_label(page, "0.125 at step 21")


class TestFinishedRun:
    def test_everything_is_there(self, page, finished):
        with Server(finished) as server:
            page.goto(server.url)
            self.look_through(page)
            for url in page.requested:
                assert url.startswith((server.url, "data:image/svg")), url

    def test_everything_is_in_the_file(self, page, finished, tmp_path):
        file = tmp_path / "run.html"
        train.write_view(finished, file)
        page.goto(file.as_uri())
        self.look_through(page)
        assert page.requested == [file.as_uri()]

    def look_through(self, page):
        page.wait_for_selector("#status:has-text('finished: steps')")
        assert step_shown(page) == 60
        label, _ = curve(page)
        assert re.search(r"training: \S+ at step 60; validation: \S+ at step 60", label)
        for tab in TABS:
            page.click(f"#tab-{tab}")
            page.wait_for_selector(f"#{tab} canvas")
            until(page, lambda tab=tab: self.nothing_drawn(page, tab) == 0)
            assert page.locator(f"#{tab}").is_visible()
        assert page.locator("#filters canvas").count() >= 5
        # hostile names are there, letter by letter, and did nothing
        page.click("#tab-predictions")
        cell = page.locator("table.matrix tbody th").nth(1)
        assert cell.text_content() == HOSTILE
        page.click("#tab-curves")
        assert page.locator("#curves h2").nth(1).text_content() == METRIC
        assert page.evaluate("window.hacked") is None
        assert page.locator("img, script:not([src]):not([type]) ~ img").count() == 0

    def nothing_drawn(self, page, tab):
        return page.locator(f"#{tab} canvas").evaluate_all(
            "all => all.filter(c => !c.getContext('2d').getImageData(0, 0, c.width, c.height)"
            ".data.some(Boolean)).length"
        )

    def test_the_keyboard_is_enough(self, page, finished):
        with Server(finished) as server:
            page.goto(server.url)
            page.wait_for_selector("#curves canvas")
            page.focus("#tab-curves")
            page.keyboard.press("ArrowRight")
            assert page.locator("#gradient-flow").is_visible()
            page.keyboard.press("ArrowLeft")
            page.focus("#curves canvas >> nth=0")
            page.keyboard.press("ArrowLeft")
            page.wait_for_selector("#curves .tip:has-text('step')")

    def test_themes(self, page, finished):
        with Server(finished) as server:
            page.goto(server.url)
            page.wait_for_selector("#curves canvas")
            light = curve(page)[1]
            page.emulate_media(color_scheme="dark")
            page.wait_for_selector("html[data-theme=dark]")
            page.wait_for_timeout(200)
            assert curve(page)[1] != light
            page.click("#theme")
            page.reload()
            page.wait_for_selector("html[data-theme=light]")

    def test_a_run_without_records_says_so(self, page, tmp_path):
        write_long_run(tmp_path, 20)
        with Server(tmp_path) as server:
            page.goto(server.url)
            wait_for_step(page, 20)
            for tab in ("gradient-flow", "histograms"):
                page.click(f"#tab-{tab}")
                page.wait_for_selector(f"#{tab} >> text=live=True")


class TestFences:
    def test_a_wrong_token_shows_nothing(self, page, finished):
        with Server(finished) as server:
            for token in ("", "wrong/", server.token[:-1] + "/"):
                answer = page.goto(f"http://127.0.0.1:{server.port}/{token}")
                assert answer.status == 403
                assert "finished" not in page.content()

    def test_the_page_cannot_reach_another_server(self, page, finished):
        reached = []

        class Foreign(BaseHTTPRequestHandler):
            def do_GET(self):
                reached.append(self.path)
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()

        foreign = HTTPServer(("127.0.0.1", 0), Foreign)
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{foreign.server_port}"
        with Server(finished) as server:
            page.goto(server.url)
            tried = page.evaluate(
                """async address => {
                    const load = (tag) => new Promise((done) => {
                        const element = document.createElement(tag);
                        element.onload = () => done("reached");
                        element.onerror = () => done("blocked");
                        element.src = `${address}/${tag}`;
                        document.head.append(element);
                    });
                    const asked = fetch(`${address}/fetch`).then(() => "reached", () => "blocked");
                    return Promise.all([asked, load("img"), load("script")]);
                }""",
                address,
            )
        foreign.shutdown()
        foreign.server_close()
        assert tried == ["blocked"] * 3
        assert reached == []


class TestLongRun:
    def test_100_000_steps_stay_smooth(self, page, tmp_path):
        write_long_run(tmp_path, 100_000)
        with Server(tmp_path) as server, open(tmp_path / "events.jsonl", "a", buffering=1) as file:
            page.goto(server.url)
            wait_for_step(page, 100_000)
            self.point_across(page)
            sizes = []
            page.on("response", lambda answer: sizes.append(len(answer.body())))
            append_step(file, 100_001, 0.5)
            wait_for_step(page, 100_001)
            wait_for_label(page, "at step 100001")
            assert max(sizes) < 2000  # only what is new was sent
            self.zoom(page)

    def point_across(self, page):
        """The pointer moves over the plot: what each frame costs, of the 16 ms that it may.

        A tenth of the frames tells what it costs where other programs do not interrupt it.
        """
        costs = page.evaluate(
            """async () => {
                const canvas = document.querySelector("#curves canvas");
                const costs = [];
                for (let i = 0; i < 60; i += 1) {
                    const move = { clientX: 0, bubbles: true };
                    const event = new PointerEvent("pointermove", move);
                    Object.defineProperty(event, "offsetX", { value: 80 + 15 * i });
                    canvas.dispatchEvent(event);
                    await new Promise((done) => requestAnimationFrame((begin) => {
                        costs.push(performance.now() - begin);
                        done();
                    }));
                }
                return costs.sort((a, b) => a - b);
            }"""
        )
        assert page.locator("#curves .tip").is_visible()
        assert costs[len(costs) // 10] < 16, costs

    def zoom(self, page):
        box = page.locator("#curves canvas").first.bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 310, box["y"] + 100)
        page.mouse.up()
        with page.expect_response(re.compile("end=")) as answer:
            page.mouse.dblclick(box["x"] + 600, box["y"] + 100)
            page.mouse.move(box["x"] + 300, box["y"] + 100)
            page.mouse.down()
            page.mouse.move(box["x"] + 308, box["y"] + 100)
            page.mouse.up()
        assert answer.value.json()["level"] == 0  # each of the steps by itself
        page.click("text=Whole run")
