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
        "examples/classify/CMakeLists.txt": _render("cmake_example.j2", library),
        "examples/classify/main.c": _example(library, "main.c"),
        "README.md": _readme(
            library,
            "cmake",
            f"    add_subdirectory(PATH_OF_THIS_FOLDER {library.name})\n"
            f"    target_link_libraries(YOUR_PROGRAM PRIVATE {library.target})\n\n"
            f"or install it and use `find_package({library.name})`. The example classifies raw PCM files:\n\n"
            "    cmake -S examples/classify -B build && cmake --build build && build/classify",
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
            {"name": "selftest", "base": "examples/selftest", "files": ["platformio.ini", "src/main.cpp"]}
        ],
        "build": {"srcDir": "src", "includeDir": "src", "flags": ["-O2"]},
    }
    if not library.url.startswith("http"):
        del manifest["homepage"]
    return {
        "library.json": json.dumps(manifest, indent=2) + "\n",
        "examples/selftest/platformio.ini": _render("platformio_ini.j2", library),
        "examples/selftest/src/main.cpp": _example(library, "platformio.cpp"),
        "README.md": _readme(
            library,
            "platformio",
            "    lib_deps = symlink://PATH_OF_THIS_FOLDER\n\n"
            "The example tests the device: `pio run -d examples/selftest -e native -t exec`.",
        ),
    }


def arduino(library: Library) -> Files:
    """A library for the Arduino IDE, with a sketch."""
    return {
        "library.properties": _render("arduino.j2", library),
        "examples/selftest/selftest.ino": _example(library, "arduino.ino"),
        "README.md": _readme(
            library,
            "arduino",
            "Copy this folder into the `libraries` folder of your sketchbook (or add it as a .zip). Then\n"
            f"`#include <{library.name}.h>`; File > Examples has a self-test for the board.",
        ),
    }


def zephyr(library: Library) -> Files:
    """A Zephyr module with a sample."""
    return {
        "zephyr/module.yml": _render("zephyr_module.j2", library),
        "zephyr/CMakeLists.txt": _render("zephyr_cmake.j2", library),
        "zephyr/Kconfig": _render("zephyr_kconfig.j2", library),
        "samples/selftest/CMakeLists.txt": _render("zephyr_sample_cmake.j2", library),
        "samples/selftest/prj.conf": _render("zephyr_prj_conf.j2", library),
        "samples/selftest/sample.yaml": _render("zephyr_sample_yaml.j2", library),
        "samples/selftest/src/main.c": _example(library, "selftest.c"),
        "README.md": _readme(
            library,
            "zephyr",
            f"Name the folder in ZEPHYR_EXTRA_MODULES (or west.yml) and set `CONFIG_{library.macro}=y`. The sample:\n\n"
            "    west build -b native_sim samples/selftest -t run",
        ),
    }


def esp_idf(library: Library) -> Files:
    """An ESP-IDF component with an example project."""
    return {
        "CMakeLists.txt": _render("esp_cmake.j2", library),
        "idf_component.yml": _render("esp_manifest.j2", library) + _component_facts() + ESP_EXAMPLES,
        "examples/selftest/CMakeLists.txt": _render("esp_example_cmake.j2", library),
        "examples/selftest/main/CMakeLists.txt": _render("esp_example_main_cmake.j2", library),
        "examples/selftest/main/main.c": _example(library, "esp_idf.c"),
        "README.md": _readme(
            library,
            "esp-idf",
            "Copy this folder into `components/` of your project. The example:\n\n"
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


ESP_EXAMPLES = "examples:\n  - path: examples/selftest\n"


def _component_facts() -> str:
    """Licence, chips and ESP-IDF version, as in the manifest of the runtime's own component."""
    text = (firmware_dir() / "esp-idf" / "stapes" / "idf_component.yml").read_text(encoding="utf-8")
    return text[text.index("license:") :]


def _example(library: Library, name: str) -> str:
    """An example is written for the bundle "app", as the programs in firmware/app/ are."""
    text = (firmware_dir() / "export" / "examples" / name).read_text(encoding="utf-8")
    return text.replace("stapes_app", library.name).replace("STAPES_APP", library.macro)


def _readme(library: Library, format_name: str, usage: str) -> str:
    return (
        _environment().get_template("README.md.j2").render(library=library, format=format_name, usage=usage)
    )


def _render(template: str, library: Library) -> str:
    return _environment().get_template(template).render(library=library)


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
