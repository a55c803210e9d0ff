"""Pictures of every page, to be looked at: `python -m tests.browser.pictures FOLDER`."""

import sys
import tempfile
from pathlib import Path

import pytest

from tests.browser.chrome import launched
from tests.browser.site import PAGES, serving


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as files, serving(Path(files)) as site, launched(site) as browser:
        for name, way in PAGES.items():
            for width, height in ((390, 844), (1280, 800)):
                for scheme in ("light", "dark"):
                    size = {"width": width, "height": height}
                    context = browser.new_context(viewport=size, color_scheme=scheme, ignore_https_errors=True)
                    with pytest.MonkeyPatch.context() as patch:
                        site.begin_anew(patch)
                        page = context.new_page()
                        way(page, site.world)
                        page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
