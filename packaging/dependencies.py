#!/usr/bin/env python3
"""What leukd is built from: the software bill of materials, and the licences that a binary must carry.

    packaging/dependencies.py FOLDER

writes FOLDER/leukd.cdx.json (CycloneDX 1.5) and FOLDER/third-party-licences.txt. Needs cargo, the crates' sources as cargo has
downloaded them, and nothing but Python's own library. The same tree gives the same bytes.

What counts is what ends in the daemon's binary: the crates that `cargo tree` finds behind normal dependencies for the platform
that this runs on, the SQLite inside one of them, Rust's own library, and the model. Build scripts' and tests' crates do not count.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LICENCE_FILES = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)([-_. ].*)?", re.IGNORECASE)


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates():
    """The crates in the binary, leukd first, and what each depends on among them."""
    host = re.search(r"^host: (.+)$", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)[1]
    tree = cargo("tree", "--locked", "-p", "leukd", "-e", "normal", "--target", host, "--prefix", "none", "--format", "{p}")
    chosen = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", host))
    packages = {p["id"]: p for p in metadata["packages"] if (p["name"], f"v{p['version']}") in chosen}
    assert len(packages) == len(chosen), "cargo tree and cargo metadata tell of different crates"
    edges = {}
    for node in metadata["resolve"]["nodes"]:
        if node["id"] in packages:
            normal = [d["pkg"] for d in node["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
            edges[node["id"]] = sorted(d for d in normal if d in packages)
    ordered = sorted(packages.values(), key=lambda p: (p["name"] != "leukd", p["name"], p["version"]))
    return ordered, edges


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def licence(package):
    """An SPDX expression; cargo's older "A/B" means "A OR B"."""
    expression = package["license"]
    return [{"expression": expression.replace("/", " OR ")}] if expression else []


def component(package, checksums):
    found = {
        "type": "application" if package["name"] == "leukd" else "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
        "licenses": licence(package),
    }
    if package["description"]:
        found["description"] = " ".join(package["description"].split())
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def others(packages):
    """What no crate's name tells of: (component, the crate that holds it)."""
    sqlite = next(p for p in packages if p["name"] == "libsqlite3-sys")
    header = (Path(sqlite["manifest_path"]).parent / "sqlite3" / "sqlite3.h").read_text()
    version = re.search(r'^#define SQLITE_VERSION\s+"([\d.]+)"', header, re.MULTILINE)[1]
    yield {
        "type": "library",
        "bom-ref": f"pkg:generic/sqlite@{version}",
        "name": "sqlite",
        "version": version,
        "purl": f"pkg:generic/sqlite@{version}",
        "cpe": f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*",
        "licenses": [{"license": {"name": "Public domain"}}],
    }, purl(sqlite)
    rust = subprocess.check_output(["rustc", "--version"], text=True).split()[1]
    yield {
        "type": "library",
        "bom-ref": f"pkg:generic/rust@{rust}",
        "name": "rust",
        "version": rust,
        "description": "Rust's standard library",
        "purl": f"pkg:generic/rust@{rust}",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    }, purl(packages[0])
    digest = hashlib.sha256((ROOT / "models" / "default.onnx").read_bytes()).hexdigest()
    yield {
        "type": "machine-learning-model",
        "bom-ref": f"model:{digest}",
        "name": "default.onnx",
        "version": digest[:12],
        "description": "The model inside the binary; models/README.md says how it was made",
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }, purl(packages[0])


def bill(packages, edges):
    with open(ROOT / "Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in locked}
    by_id = {p["id"]: purl(p) for p in packages}
    depends = {purl(p): [by_id[d] for d in edges[p["id"]]] for p in packages}
    components = [component(p, checksums) for p in packages[1:]]
    for extra, holder in others(packages):
        components.append(extra)
        depends[holder].append(extra["bom-ref"])
        depends[extra["bom-ref"]] = []
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": component(packages[0], checksums),
            "tools": {"components": [{"type": "application", "name": "leukd packaging/dependencies.py"}]},
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(depends.items())],
    }
    # Another content is another document; no clock and no chance in it.
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    return document


def notices(packages):
    """Each crate's own licence files, those of equal text once."""
    texts = {}
    silent = []
    for package in packages[1:]:
        if package["source"] is None:
            continue  # leukd's own
        name = f"{package['name']} {package['version']} ({package['license'] or 'see below'})"
        folder = Path(package["manifest_path"]).parent
        files = sorted(f for f in folder.iterdir() if f.is_file() and LICENCE_FILES.fullmatch(f.name))
        if not files:
            silent.append(f"{name} {package['repository'] or ''}".rstrip())
        for file in files:
            text = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip()
            texts.setdefault(text, []).append(name)
    parts = [
        "leukd holds the crates below, each under the licence that its own files give. Texts that are equal stand here once.",
        "These crates are published without a licence file and name their licence only:\n\n" + "\n".join(silent),
    ]
    for text, names in sorted(texts.items(), key=lambda item: item[1]):
        parts.append("\n".join(dict.fromkeys(names)) + "\n\n" + text)
    return ("\n\n" + "-" * 78 + "\n\n").join(parts) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    packages, edges = crates()
    document = bill(packages, edges)
    (folder / "leukd.cdx.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "third-party-licences.txt").write_text(notices(packages))
    print(f"{len(document['components'])} components in {folder / 'leukd.cdx.json'}")


if __name__ == "__main__":
    main()
