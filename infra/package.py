"""Builds the package that is published: `python infra/package.py` writes dist/siftrock-inbox-connector.zip.

It holds what `func azure functionapp publish` and `azd deploy` would send: this folder without what `.funcignore`
names. Azure installs `requirements.txt` beside it (remote build). The same tree gives the same bytes.

With `--built` it also writes dist/built/ and dist/siftrock-inbox-connector-built.zip, which hold besides what
`requirements.txt` names, so that nothing is left for Azure to build: for when the remote build is ended.
"""

import argparse
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pathspec

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
PACKAGE = DIST / "siftrock-inbox-connector.zip"
BUILT_PACKAGE = DIST / "siftrock-inbox-connector-built.zip"
BUILT = DIST / "built"

SITE_PACKAGES = Path(".python_packages") / "lib" / "site-packages"
"""Where Azure's Python worker looks for packages beside the app."""

PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), "manylinux2014_x86_64")
"""Wheels that run where Azure runs them: Linux of glibc 2.28 at the least, on x86-64."""

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
    return _packed(package, root, contents(root))


def build_with_requirements(package: Path = BUILT_PACKAGE, folder: Path = BUILT) -> Path:
    """Writes the package with its requirements, unpacked in `folder` too, and returns its path.

    Needs the package index. Raises subprocess.CalledProcessError where pip could not install, having said why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for path in contents():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    command += ["--requirement", str(ROOT / "requirements.txt"), "--target", str(folder / SITE_PACKAGES)]
    # For Azure's Python and processor, whatever this machine is. Everything is pinned, so nothing is resolved.
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", (ROOT / ".python-version").read_text().strip()]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    subprocess.run(command, check=True)
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return _packed(package, folder, sorted(files))


def _packed(package: Path, root: Path, paths: list[str]) -> Path:
    package.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / path).read_bytes())
    return package


def main() -> None:
    """Builds the package and says what it is."""
    parser = argparse.ArgumentParser(description="Builds the package that is published.")
    parser.add_argument("--list", action="store_true", help="print the files of the package")
    parser.add_argument("--built", action="store_true", help="also build one that holds its requirements")
    arguments = parser.parse_args()
    packages = [build()]
    if arguments.list:
        print(*contents(), sep="\n")
    if arguments.built:
        print("Installing requirements.txt into dist/built …", flush=True)
        packages.append(build_with_requirements())
    for package in packages:
        count = len(zipfile.ZipFile(package).namelist())
        print(f"{package.relative_to(ROOT)}: {count} files, {package.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
