"""Builds the package that is published: `python infra/package.py` writes dist/siftrock-inbox-connector.zip.

It holds what `func azure functionapp publish` and `azd deploy` would send: this folder without what `.funcignore`
names. Azure installs `requirements.txt` beside it (remote build). The same tree gives the same bytes.
"""

import argparse
import zipfile
from pathlib import Path

import pathspec

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dist" / "siftrock-inbox-connector.zip"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can tell


def contents(root: Path = ROOT) -> list[str]:
    """The files of the package, as paths within it."""
    ignored = pathspec.GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    kept: list[str] = []
    for folder, folders, files in root.walk():
        here = folder.relative_to(root)
        folders[:] = sorted(name for name in folders if not ignored.match_file(f"{(here / name).as_posix()}/"))
        kept += [path for name in files if not ignored.match_file(path := (here / name).as_posix())]
    return sorted(kept)


def build(package: Path = PACKAGE, root: Path = ROOT) -> Path:
    """Writes the package and returns its path."""
    package.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in contents(root):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / path).read_bytes())
    return package


def main() -> None:
    """Builds the package and says what it is."""
    parser = argparse.ArgumentParser(description="Builds the package that is published.")
    parser.add_argument("--list", action="store_true", help="print the files of the package")
    listed = parser.parse_args().list
    package = build()
    if listed:
        print(*contents(), sep="\n")
    print(f"{package.relative_to(ROOT)}: {len(contents())} files, {package.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
