"""The HTML report, looked at in a headless Chromium: nothing fetched, every picture drawn, nothing sticks out."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_results import EVALUATION, EVALUATION_WITH_EVERYTHING, PARITY
from small_bundle import make_small_bundle

from stapes.check import CheckReport, check_bundle, select_clips
from stapes.compiler import compile_bundle
from stapes.compiler.plan import Region
from stapes.datasets import synthetic_clips
from stapes.device import prepare
from stapes.recipe import MICRO, Bundle, FrontendSpec
from stapes.report import checked_result, html_report, result_kind
from stapes.report.heard import Heard, hear
from stapes.report.html import Arena
from stapes.report.memory_map import memory_svg
from stapes.report.picture import DIVERGING, HEAT, data_uri, palette

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FLAGS += ["--hide-scrollbars", "--virtual-time-budget=5000"]
MODELS = Path(__file__).parents[3] / "models"
WIDTHS = (1280, 1200, 400)

LOOK = """
<script>
const problems = [];
const touch = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const lines = element => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
};
const touching = boxes => boxes.filter((a, i) => boxes.slice(i + 1).some(b => touch(a, b))).length;
addEventListener("error", event => problems.push("error: " + event.message), true);
addEventListener("securitypolicyviolation", event => problems.push("fetched: " + event.blockedURI));
addEventListener("load", () => {
  const root = document.documentElement;
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    overflow: root.scrollWidth - innerWidth,
    fetched: performance.getEntriesByType("resource").map(entry => entry.name),
    pictures: [...document.images].map(image => [image.naturalWidth, image.clientWidth, image.clientHeight]),
    drawings: [...document.querySelectorAll("svg")].map(
      svg => [svg.getBoundingClientRect().width, svg.querySelectorAll("rect").length]),
    bars: [...document.querySelectorAll(".bar i")].map(bar => bar.getBoundingClientRect().width),
    broken: [...document.querySelectorAll("td.text, th.text")].filter(e => lines(e) > 1)
      .map(e => e.textContent).filter(text => text.length < 16 && !text.includes(" ")),
    small: [...document.querySelectorAll("td, th, p, .name, .bar, figcaption")]
      .filter(e => parseFloat(getComputedStyle(e).fontSize) < 11).length,
    wide: [...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth).length,
    touching: touching([...document.querySelectorAll("svg.map text")].map(text => text.getBoundingClientRect())),
    problems,
  }), "*");
});
</script>
"""
FRAMES = """<!DOCTYPE html><body style="margin:0"><script>
addEventListener("message", event => {
  const line = document.createElement("pre");
  line.textContent = event.data;
  document.body.append(line);
});
</script>%s</body>"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> CheckReport:
    directory = tmp_path_factory.mktemp("html")
    bundle = make_small_bundle(directory / "bundle")
    return check_bundle(
        bundle, "host", select_clips(bundle, None, 3), directory, prepared=prepare(bundle, "host", directory)
    )


def look(page: str, directory: Path) -> dict[int, dict[str, Any]]:
    """What a browser makes of the page at each width."""
    if CHROMIUM is None:
        pytest.skip("no chromium to look at the page with")
    (directory / "page.html").write_text(page.replace("<head>", f"<head>{LOOK}").replace(
        "default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';"
    ))  # fmt: skip
    frames = "".join(
        f'<iframe src="page.html" width="{w}" height="900" style="border:0"></iframe>' for w in WIDTHS
    )
    (directory / "frames.html").write_text(FRAMES % frames)
    profile = f"--user-data-dir={directory / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *FLAGS, profile, "--dump-dom", (directory / "frames.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    seen = [
        json.loads(html.unescape(text)) for text in re.findall(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    ]
    assert len(seen) == len(WIDTHS), done.stdout[-2000:] + done.stderr[-2000:]
    return {view["width"]: view for view in seen}


def test_a_browser_shows_everything(checked: CheckReport, tmp_path: Path) -> None:
    one = checked.as_json()
    other = {**one, "target": "qemu:a-machine-with-a-long-name", "counter": "instructions"}
    views = look(html_report([{"targets": [one, other], "equal": True}, EVALUATION, PARITY]), tmp_path)
    assert set(views) == set(WIDTHS)
    for view in views.values():
        assert view["problems"] == [] and view["fetched"] == []
        assert view["overflow"] <= 0
        assert len(view["pictures"]) == 2 * 3
        assert all(
            natural == 20 and width > 100 and height > 100 for natural, width, height in view["pictures"]
        )
        ((width, rectangles),) = view["drawings"]
        assert width >= 600 and rectangles == 2 + len(checked.plan.regions)
        assert len(view["bars"]) == 2 * 2 * len(checked.plan.layers) + 3 and max(view["bars"]) > 50
        assert view["small"] == 0
        assert view["touching"] == 0
        assert view["wide"] == 0 or view["width"] == 400


def test_tables_fit_1200_pixels(checked: CheckReport, tmp_path: Path) -> None:
    """Fifty classes, names as long as data sets have them, boards by their ports, five folds."""
    labels = [f"hand_saw {index}" for index in range(48)] + ["crackling_fire_and_smoke", "washing machine"]
    one = checked.as_json()
    rows = [{**one["results"][0], "label": name, "prediction": name, "clip": "1-100210-B-36" * 8 + ".wav",
             "counts_per_window": 123456789.0} for name in labels]  # fmt: skip
    port = "board:nucleo_f446re@/dev/serial/by-id/usb-STMicroelectronics_STM32_STLink_0667FF49-if02"
    check = {**one, "labels": labels, "results": rows, "target": port, "counter": "instructions"}
    counts = [[40] * 51 for _ in labels]
    evaluation = {**EVALUATION_WITH_EVERYTHING, "labels": [*labels, "unknown"], "folds": [1, 2, 3, 4, 5]}
    evaluation["firmware"] = {
        "accuracy_mean": 0.9,
        "accuracy_sd": 0.01,
        "per_fold": [0.9] * 5,
        "confusion": counts,
    }
    page = html_report([check, *[{**one, "target": f"qemu:a-machine-{n}"} for n in range(5)], evaluation])
    view = look(page, tmp_path)[1200]
    assert view["wide"] == 0 and view["overflow"] <= 0


def test_labels_are_not_broken_between_letters(checked: CheckReport, tmp_path: Path) -> None:
    names = ["crackling_fire", "clock_tick", "chainsaw"]
    one = checked.as_json()
    rows = [{**one["results"][0], "label": name, "prediction": name, "clip": f"synthetic-1-002-{name}",
             "counts_per_window": 11062856.0} for name in names]  # fmt: skip
    page = html_report([{**one, "results": rows, "target": "qemu:netduinoplus2", "counter": "instructions"}])
    assert look(page, tmp_path)[1200]["broken"] == []


def test_no_label_of_any_memory_map_touches_another(tmp_path: Path) -> None:
    """As a browser draws the maps of the networks that are delivered."""
    for name in ("esc10", "esc10-tiny", "esc10-nano"):
        plan = compile_bundle(Bundle.load(MODELS / name))
        drawing = memory_svg(plan)
        assert drawing.count("<rect") == 2 + len(plan.regions)
        page = f"<!DOCTYPE html><head></head><body>{drawing}</body>"
        (tmp_path / name).mkdir()
        for view in look(page, tmp_path / name).values():
            assert view["touching"] == 0 and view["drawings"]


def test_the_look_sees_what_is_wrong(checked: CheckReport, tmp_path: Path) -> None:
    """The checker above can fail: a script error, a fetch, a wide element, a broken picture."""
    broken = """<script>nothing()</script><img src="https://example.invalid/x.png"><img src="data:image/png;base64,AA">
        <div style="width:3000px">x</div>
        <div class="scroll"><div style="width:3000px">x</div></div>
        <svg class="map"><text y="9">one</text><text y="12">two</text></svg></body>"""
    view = look(html_report([checked.as_json()]).replace("</body>", broken), tmp_path)[400]
    assert any("nothing" in problem for problem in view["problems"])
    assert any("example.invalid" in problem for problem in view["problems"])
    assert view["overflow"] > 0 and view["wide"] > 0 and view["touching"] > 0
    assert [natural for natural, _, _ in view["pictures"]][-2:] == [0, 0]


def test_the_page_needs_nothing_else(checked: CheckReport) -> None:
    page = html_report([checked.as_json()])
    addresses = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="(\w+:)', page)) == {"data:"}


def test_what_was_found_is_written(checked: CheckReport) -> None:
    page = html_report([checked.as_json()])
    assert "PASSED" in page
    for result in checked.results:
        assert result.clip in page
    for layer in checked.plan.layers:
        assert f">{layer.macs:,}</div>" in page


def test_the_first_difference_is_written_and_drawn(checked: CheckReport) -> None:
    from stapes.check import Difference

    difference = Difference("a<b>", 2, "layer", "conv&1", (1, 2, 3), 5, 6, 1, 99, "one step: rounding")
    example = checked.example
    assert example is not None
    got = example.got.copy()
    got[3, 4] ^= 1
    results = [replace(checked.results[0], difference=difference), *checked.results[1:]]
    page = html_report([replace(checked, results=results, example=replace(example, got=got)).as_json()])
    assert "FAILED" in page and "PASSED" not in page
    assert "a&lt;b&gt;" in page and "a<b>" not in page
    assert "conv&amp;1 at 1, 2, 3: expected 5, got 6 (1 of 99 differ; one step: rounding)" in page
    assert "1 values differ" in page and "difference, at most 1 step<" in page


def test_cycles_for_each_instruction(checked: CheckReport) -> None:
    one = {**checked.as_json(), "counter": "cycles", "counts_per_window": 3000.0, "target": "board:x@y"}
    other = {**one, "counter": "instructions", "instructions_per_window": 2000, "target": "qemu:m"}
    page = html_report([one, other])
    assert "cycles for each instruction of qemu:m</th><td>1.50</td><td>–</td>" in page
    assert "cycles for each" not in html_report([one])


def test_results_are_recognised(checked: CheckReport) -> None:
    value = checked.as_json()
    assert result_kind(value) == "check" and result_kind({"targets": [value], "equal": True}) == "compare"
    assert result_kind(EVALUATION) == "evaluate" and result_kind(PARITY) == "parity"
    assert result_kind({"layers": []}) is None and result_kind([1]) is None


def test_pixels_are_where_they_belong(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib.image")
    values = np.zeros((5, 3), np.int8)  # five frames of three bands
    values[4, 0], values[0, 2] = 127, 60
    path = tmp_path / "x.png"
    path.write_bytes(base64.b64decode(data_uri(values, 0, 127, HEAT).partition(",")[2]))
    pixels = np.rint(matplotlib.imread(str(path))[..., :3] * 255).astype(int)
    assert pixels.shape == (3, 5, 3)
    colours = palette(HEAT)
    assert np.array_equal(pixels[2, 4], colours[255])  # last frame, lowest band: right bottom
    assert np.array_equal(pixels[0, 0], colours[round(60 / 127 * 255)])
    assert np.array_equal(pixels[1, 1], colours[0])


def test_no_difference_is_the_neutral_colour() -> None:
    middle = palette(DIVERGING)[128].astype(int)
    assert np.ptp(middle) <= 2 and middle.min() > 240


def test_labels_of_the_memory_map_stay_in_their_regions() -> None:
    """Whatever a region is called: a label that is wider or higher than its region is only in the tooltip."""
    regions = tuple(
        Region(name, offset, size, first, last)
        for name, offset, size, first, last in (
            ("a" * 90, 0, 400, 0, 99), ("b", 400, 400, 0, 30), ("c", 400, 400, 31, 99), ("d", 800, 8, 0, 99)
        )
    )  # fmt: skip
    drawing = memory_svg(Arena("net", 1000, 100, regions))
    labels = re.findall(r'<text x="([\d.]+)"[^>]*fill="black">([^<]*)</text>', drawing)
    assert [text.split(":")[0] for _, text in labels] == ["a" * 90, "b", "c"]
    for (x, text), region in zip(labels, (regions[0], *regions[1:3]), strict=True):
        assert float(x) + 6.6 * len(text) <= 70 + 9.0 * (region.last + 1)
    narrow = replace(regions[0], last=40)
    assert 'fill="black">a' not in memory_svg(Arena("net", 1000, 100, (narrow, *regions[1:])))


def test_labels_of_the_memory_map_lie_on_no_other_region() -> None:
    """Buffers that take turns share bytes: the first keeps no free place, the second only its lower part."""
    turns = (Region("covered", 0, 300, 0, 99), Region("half", 0, 700, 10, 99))
    drawing = memory_svg(Arena("net", 1000, 100, turns))
    ((y, text),) = re.findall(r'y="([\d.]+)" fill="black">([^<]*)</text>', drawing)
    assert text.startswith("half") and float(y) - 11 > 30 + 480 * 0.3


def test_every_clip_can_be_seen_and_small_ones_heard(checked: CheckReport, tmp_path: Path) -> None:
    spec = checked.bundle.manifest.frontend
    clips = synthetic_clips(("a", "<b>"), 3, spec.sample_rate, 1.0, seed=1)
    one = checked.as_json()
    rows = [
        {
            **one["results"][0],
            "clip": clip.name,
            "label": "<b>",
            "prediction": "a",
            "features_equal": place != 1,
        }
        for place, clip in enumerate(clips)
    ]
    value = {**one, "results": rows, "source": "recordings"}
    page = html_report([value], hear(clips, spec, sound=False))
    assert page.count('alt="spectrogram of') == page.count("<audio controls") == 3
    assert page.count(f': &lt;b&gt;,  said <b class="bad">a</b> ({rows[0]["confidence"]:.2f})') == 3
    assert page.count("differ: this is Python") == 1 and "--sound" not in page
    other = {**value, "target": "other", "results": [{**rows[0], "prediction": "<b>"}]}
    both = html_report([value, other], hear(clips, spec, sound=False))
    assert (
        f'host said <b class="bad">a</b> ({rows[0]["confidence"]:.2f}), other said <b>&lt;b&gt;</b>' in both
    )
    synthetic = html_report([{**value, "source": "synthetic"}], hear(clips, spec, sound=False))
    assert " said <b>a</b>" in synthetic and "left out" not in synthetic
    for view in look(page, tmp_path).values():
        assert view["problems"] == [] and view["fetched"] == [] and view["overflow"] <= 0
        assert [natural for natural, _, _ in view["pictures"]][-3:] == [spec.frames(spec.sample_rate)] * 3


def test_sounds_that_are_not_small_are_there_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = FrontendSpec()
    clips = synthetic_clips(("a",), 3, spec.sample_rate, 1.0, seed=1)
    monkeypatch.setattr("stapes.report.heard.SMALL_BYTES", 2 * clips[0].pcm.nbytes)
    assert [bool(clip.sound) for clip in hear(clips, spec, sound=False).values()] == [True, True, False]
    heard = hear(clips, spec, sound=True)
    for clip in clips:
        assert base64.b64decode(heard[clip.name].sound.partition(",")[2])[44:] == clip.pcm.tobytes()


@pytest.mark.parametrize("settings", [{"n_mfcc": 13}, {"pcen": {}}, {**MICRO, "micro": True}])
def test_other_features_than_log_mel_have_pictures(settings: dict[str, Any]) -> None:
    spec = FrontendSpec.model_validate(settings)
    assert Heard.of(np.arange(-8000, 8000, dtype=np.int16), spec).picture.startswith("data:image/png;base64,")


def test_an_evaluation_names_its_bundle() -> None:
    page = html_report([{**EVALUATION, "bundle": "<mine>", "bundle_hash": "0123456789abcdef"}])
    assert "<title>stapes: &lt;mine&gt;</title>" in page and "bundle &lt;mine&gt; 0123456789ab<" in page


def test_wrong_clips_can_be_seen_and_heard() -> None:
    """With their sound where the page is given it, as lines alone where it is made of a file."""
    pcm = np.arange(-4000, 4000, dtype=np.int16)
    value = checked_result(EVALUATION_WITH_EVERYTHING, "evaluation.json")
    page = html_report([value], {"<b>.wav": Heard.of(pcm, FrontendSpec())})
    assert "&lt;b&gt;.wav, fold 1: bell, said" in page and "<b>.wav" not in page
    (sound,) = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert base64.b64decode(sound)[44:] == pcm.tobytes()
    assert "data:audio" not in html_report([value])
    assert "Wrong clips" in html_report([value]) and "Wrong clips" not in html_report([EVALUATION])
