"""One function per build system: the files that it needs beside those of the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from stapes.definitions import firmware_dir
from stapes.export.library import Library

if TYPE_CHECKING:
    from jinja2 import Environment

Files = dict[str, str]


def cmake(library: Library) -> Files:
    """A project for add_subdirectory or find_package, target `stapes::<bundle>`; an example for this computer."""
    return {
        "CMakeLists.txt": _render("cmake.j2", library),
        f"cmake/{library.name}Config.cmake": _render("cmake_config.j2", library),
        "examples/classify/CMakeLists.txt": _render(
            "cmake_example.j2", library, program="classify", sources="main.c"
        ),
        "examples/classify/main.c": _example(library, "cmake/classify.c"),
        "examples/listen/CMakeLists.txt": _render(
            "cmake_example.j2", library, program="listen", sources="main.c microphone_stdin.c"
        ),
        "examples/listen/main.c": _example(library, "cmake/listen.c"),
        "examples/listen/microphone.h": _example(library, "cmake/microphone.h"),
        "examples/listen/microphone_stdin.c": _example(library, "cmake/microphone_stdin.c"),
        "README.md": _readme(
            library,
            "cmake",
            f"    add_subdirectory(PATH_OF_THIS_FOLDER {library.name})\n"
            f"    target_link_libraries(YOUR_PROGRAM PRIVATE {library.target})\n\n"
            f"or install it and use `find_package({library.name})`. One example classifies raw PCM files:\n\n"
            "    cmake -S examples/classify -B build && cmake --build build && build/classify\n\n"
            "The other listens: `examples/listen/microphone.h` says what it wants of your board's DMA. On a\n"
            "computer raw 16-bit PCM from standard input stands in for the microphone:\n\n"
            "    cmake -S examples/listen -B listen && cmake --build listen && listen/listen < sound.raw",
        ),
    }


def platformio(library: Library) -> Files:
    """A library with library.json; the example runs on this computer and on Arduino boards."""
    manifest = {
        "name": library.name,
        "version": library.version,
        "description": library.sentence,
        "keywords": ["audio", "sound", "classifier", "tinyml"],
        "authors": [{"name": library.author, "maintainer": True}],
        "license": "Apache-2.0",
        "homepage": library.url,
        "frameworks": "*",
        "platforms": "*",
        "headers": [f"{library.name}.h"],
        "examples": [
            {"name": "selftest", "base": "examples/selftest", "files": ["platformio.ini", "src/main.cpp"]},
            {"name": "listen", "base": "examples/listen", "files": ["platformio.ini", "src/main.cpp"]},
            {
                "name": "listen_esp32",
                "base": "examples/listen_esp32",
                "files": ["platformio.ini", "src/main.c", "src/microphone.h", "src/microphone.c"],
            },
        ],
        "build": {"srcDir": "src", "includeDir": "src", "flags": ["-O2"]},
    }
    if not library.url.startswith("http"):
        del manifest["homepage"]
    return {
        "library.json": json.dumps(manifest, indent=2) + "\n",
        "examples/selftest/platformio.ini": _render("platformio_ini.j2", library),
        "examples/selftest/src/main.cpp": _example(library, "platformio/selftest.cpp"),
        "examples/listen/platformio.ini": _render("platformio_listen_ini.j2", library),
        "examples/listen/src/main.cpp": _example(library, "arduino/listen_pdm.ino"),
        "examples/listen_esp32/platformio.ini": _render("platformio_esp32_ini.j2", library),
        "examples/listen_esp32/sdkconfig.defaults": ESP_STACK,
        "examples/listen_esp32/src/main.c": _example(library, "esp_idf/listen.c"),
        "examples/listen_esp32/src/microphone.h": _example(library, "esp_idf/microphone.h"),
        "examples/listen_esp32/src/microphone.c": _example(library, "esp_idf/microphone_i2s.c"),
        "README.md": _readme(
            library,
            "platformio",
            "    lib_deps = symlink://PATH_OF_THIS_FOLDER\n\n"
            "`examples/selftest` tests the device: `pio run -d examples/selftest -e native -t exec`.\n"
            "`examples/listen` listens to a board's own PDM microphone, `examples/listen_esp32` to an I2S microphone.",
        ),
    }


def arduino(library: Library) -> Files:
    """A library for the Arduino IDE, with a sketch."""
    return {
        "library.properties": _render("arduino.j2", library, architectures=",".join(ARDUINO_ARCHITECTURES)),
        "examples/selftest/selftest.ino": _example(library, "arduino/selftest.ino"),
        "examples/listen_pdm/listen_pdm.ino": _example(library, "arduino/listen_pdm.ino"),
        "examples/listen_i2s/listen_i2s.ino": _example(library, "arduino/listen_i2s.ino"),
        "README.md": _readme(
            library,
            "arduino",
            "Copy this folder into the `libraries` folder of your sketchbook (or add it as a .zip). Then\n"
            f"`#include <{library.name}.h>`; File > Examples has a self-test for the board, and sketches\n"
            "that listen: to the board's own PDM microphone, or to an I2S microphone at an ESP32.",
        ),
    }


def zephyr(library: Library) -> Files:
    """A Zephyr module with a sample."""
    return {
        "zephyr/module.yml": _render("zephyr_module.j2", library),
        "zephyr/CMakeLists.txt": _render("zephyr_cmake.j2", library),
        "zephyr/Kconfig": _render("zephyr_kconfig.j2", library),
        "samples/selftest/CMakeLists.txt": _render("zephyr_sample_cmake.j2", library),
        "samples/selftest/prj.conf": _render("zephyr_prj_conf.j2", library, microphone=False),
        "samples/selftest/sample.yaml": _render("zephyr_sample_yaml.j2", library),
        "samples/selftest/src/main.c": _example(library, "zephyr/selftest.c"),
        "samples/listen/CMakeLists.txt": _render("zephyr_sample_cmake.j2", library),
        "samples/listen/prj.conf": _render("zephyr_prj_conf.j2", library, microphone=True),
        "samples/listen/sample.yaml": _render("zephyr_listen_yaml.j2", library),
        "samples/listen/boards/xiao_ble_nrf52840_sense.overlay": XIAO_OVERLAY,
        "samples/listen/src/main.c": _example(library, "zephyr/listen.c"),
        "README.md": _readme(
            library,
            "zephyr",
            f"Name the folder in ZEPHYR_EXTRA_MODULES (or west.yml) and set `CONFIG_{library.macro}=y`. One\n"
            "sample is a self-test, the other listens to the microphone that the board's overlay labels\n"
            "`dmic_dev`:\n\n"
            "    west build -b native_sim samples/selftest -t run\n"
            "    west build -b xiao_ble/nrf52840/sense samples/listen",
        ),
    }


def esp_idf(library: Library) -> Files:
    """An ESP-IDF component with an example project."""
    return {
        "CMakeLists.txt": _render("esp_cmake.j2", library),
        "idf_component.yml": _render("esp_manifest.j2", library) + _component_facts() + ESP_EXAMPLES,
        "examples/selftest/CMakeLists.txt": _render("esp_example_cmake.j2", library),
        "examples/selftest/sdkconfig.defaults": ESP_STACK,
        "examples/selftest/main/CMakeLists.txt": _render(
            "esp_example_main_cmake.j2", library, sources="main.c"
        ),
        "examples/selftest/main/main.c": _example(library, "esp_idf/selftest.c"),
        "examples/listen/CMakeLists.txt": _render("esp_example_cmake.j2", library),
        "examples/listen/sdkconfig.defaults": ESP_STACK,
        "examples/listen/main/CMakeLists.txt": "# microphone_i2s.c, or microphone_pdm.c\n"
        + _render("esp_example_main_cmake.j2", library, sources="main.c microphone_i2s.c"),
        "examples/listen/main/main.c": _example(library, "esp_idf/listen.c"),
        "examples/listen/main/microphone.h": _example(library, "esp_idf/microphone.h"),
        "examples/listen/main/microphone_i2s.c": _example(library, "esp_idf/microphone_i2s.c"),
        "examples/listen/main/microphone_pdm.c": _example(library, "esp_idf/microphone_pdm.c"),
        "README.md": _readme(
            library,
            "esp-idf",
            "Copy this folder into `components/` of your project. One example is a self-test, the other listens to\n"
            "an I2S or a PDM microphone (`examples/listen/main/microphone_i2s.c`, `microphone_pdm.c`):\n\n"
            "    idf.py -C examples/selftest set-target esp32c3 flash monitor",
        ),
    }


FORMATS: dict[str, Callable[[Library], Files]] = {
    "cmake": cmake,
    "platformio": platformio,
    "arduino": arduino,
    "zephyr": zephyr,
    "esp-idf": esp_idf,
}


ESP_EXAMPLES = "examples:\n  - path: examples/selftest\n  - path: examples/listen\n"
ESP_STACK = "CONFIG_ESP_MAIN_TASK_STACK_SIZE=8192 # printf takes most of it\n"

ARDUINO_ARCHITECTURES = {
    "mbed_nano": ("cortex-m4", "cortex-m0plus"),
    "mbed_nicla": ("cortex-m4", "cortex-m7"),
    "mbed_portenta": ("cortex-m7", "cortex-m4"),
    "mbed_giga": ("cortex-m7", "cortex-m4"),
    "mbed_rp2040": ("cortex-m0plus",),
    "rp2040": ("cortex-m0plus",),
    "stm32": ("cortex-m0plus", "cortex-m4", "cortex-m7"),
    "nrf52": ("cortex-m4",),
    "samd": ("cortex-m0plus",),
    "renesas_uno": ("cortex-m4",),
    "esp32": ("rv32imc", "lx106"),
}
"""The architectures of Arduino that are named, and the cores for which a test compiles everything."""

XIAO_OVERLAY = """/* The board's own microphone; another board's overlay labels its PDM interface dmic_dev too. */
/ {
\tmsm261d3526hicpm-c-en {
\t\tregulator-boot-on;
\t};
};

dmic_dev: &pdm0 {
\tstatus = "okay";
};
"""


def _component_facts() -> str:
    """Licence and ESP-IDF version, as in the manifest of the runtime's own component."""
    text = (firmware_dir() / "esp-idf" / "stapes" / "idf_component.yml").read_text(encoding="utf-8")
    return text[text.index("license:") :]


def _example(library: Library, name: str) -> str:
    """An example is written for the bundle "app", as the programs in firmware/app/ are."""
    text = (firmware_dir() / "export" / "examples" / name).read_text(encoding="utf-8")
    return text.replace("stapes_app", library.name).replace("STAPES_APP", library.macro)


def _readme(library: Library, format_name: str, usage: str) -> str:
    return (
        _environment()
        .get_template("README.md.j2")
        .render(library=library, measured=library.measured, format=format_name, usage=usage)
    )


def _render(template: str, library: Library, **values: object) -> str:
    return _environment().get_template(template).render(library=library, **values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("stapes.export", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
