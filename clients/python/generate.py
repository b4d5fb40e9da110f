"""Writes src/leukd_client/v1/ from proto/.

    pip install grpcio-tools==1.85.1
    python generate.py [--proto FOLDER] [--out FOLDER]

A test compares the package with what this writes.
"""

import argparse
import pathlib
import re
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve().parent
# Absolute imports of the contract would need a package named "leukd" on the path.
IMPORT = re.compile(r"^from leukd\.v1 import ", re.MULTILINE)
MODULE = '"""The contract leukd.v1, generated from proto/ by generate.py."""\n'


def generate(proto: pathlib.Path, out: pathlib.Path) -> None:
    files = sorted(path.relative_to(proto).as_posix() for path in proto.rglob("*.proto"))
    if not files:
        sys.exit(f"{proto} holds no .proto file")
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as into:
        wanted = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main(["protoc", f"-I{proto}", f"-I{well_known}", *wanted, *files]) != 0:
            sys.exit("the contract does not compile")
        out.mkdir(parents=True, exist_ok=True)
        for file in pathlib.Path(into, "leukd", "v1").iterdir():
            if file.is_file():
                text = IMPORT.sub("from . import ", file.read_text())
                (out / file.name).write_text(text)
        (out / "__init__.py").write_text(MODULE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proto", type=pathlib.Path, default=HERE.parents[1] / "proto")
    parser.add_argument(
        "--out", type=pathlib.Path, default=HERE / "src" / "leukd_client" / "v1"
    )
    arguments = parser.parse_args()
    generate(arguments.proto.resolve(), arguments.out)


if __name__ == "__main__":
    main()
