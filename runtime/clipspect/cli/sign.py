"""`clipspect sign`: ed25519 signatures of a bundle's manifest and recipes, for boxes that demand them."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.errors import ClipspectError

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle
    from clipspect.bundle.signature import PublicKey

_DESCRIPTION = """Sign a bundle: bundle.json, whose hashes speak for every file that it lists, each recipe, and what
verify --record measured. Each signature is FILE.sig beside its file: 64 bytes, ed25519 over the file's bytes, as
openssl pkeyutl -rawin makes and checks them. All is verified before; signatures that are there are replaced. A box
demands them with --require-signature PUBLIC.pem. A recipe that is written again has no signature any more."""

_EPILOG = """A pair of keys: clipspect sign --new-key KEY.pem, which also writes KEY.public.pem for the boxes. Keep
KEY.pem off them: who has it can sign. docs/signatures.md says what a signature promises, and what not."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "sign", help="sign a bundle and its recipes", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("bundle", metavar="BUNDLE", nargs="?", help="bundle folder")
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        dest="recipes",
        nargs="+",
        help="sign these recipes alone, names or paths (default: the manifest and all recipes of the bundle)",
    )
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", metavar="KEY.pem", type=Path, help="private key: PKCS #8, ed25519")
    key.add_argument(
        "--new-key",
        metavar="KEY.pem",
        type=Path,
        help="make a pair of keys, KEY.pem and KEY.public.pem, and sign with it",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.bundle.signature import make_keys

    if args.bundle is None and (args.new_key is None or args.recipes):
        raise ClipspectError("sign: name the BUNDLE to sign; without one, --new-key KEY.pem alone makes a pair of keys")
    private: Path = args.new_key or args.key
    if not private.name:
        raise ClipspectError(f"sign: {str(private)!r} is no name for a key's file: give one such as KEY.pem")
    public = private.with_name(f"{private.stem}.public{private.suffix}")
    bundle = None if args.bundle is None else _signable(args.bundle)
    files = {} if bundle is None else _verified(bundle, args.recipes)  # all that can be wrong, before keys are made
    if args.new_key is not None:
        make_keys(private, public)
    if bundle is not None:
        _sign(bundle, args.recipes, files, private)
    if args.json:
        made = {} if args.new_key is None else {"key": str(private), "public": str(public)}
        print(json.dumps({**made, "signed": {str(path): what for path, what in files.items()}}, indent=2))
        return 0
    if args.new_key is not None:
        print(f"made: {private}, which stays where you sign, and {public}, which boxes take as --require-signature")
    for path, what in files.items():
        print(f"signed: {path} ({what})")
    return 0


def _signable(named: str) -> Bundle:
    """The bundle, verified. Raises BundleError; ClipspectError for the demo."""
    from clipspect.bundle.bundle import Bundle

    bundle = Bundle.open(named)
    if bundle.is_embedded:
        raise ClipspectError(
            f"the demo bundle is part of the installation and is not signed: copy the folder {bundle.path} and sign "
            "the copy"
        )
    return bundle


def _sign(bundle: Bundle, recipes: list[str] | None, files: dict[Path, str], private: Path) -> None:
    """Write the signatures of files that were verified. Raises ClipspectError where they are others by now."""
    from clipspect.bundle.signature import PublicKey, read_private_key, signature_path, write_signature

    key = read_private_key(private)
    with ExitStack() as unless_all_is_well:
        for path in files:
            write_signature(path, path.read_bytes(), key)
            unless_all_is_well.callback(signature_path(path).unlink, missing_ok=True)
        if _verified(bundle, recipes, PublicKey(private, key.public_key())) != files:
            raise ClipspectError(
                f"{bundle.path}: was changed while it was signed: sign it again when nothing writes to it"
            )
        unless_all_is_well.pop_all()


def _verified(bundle: Bundle, recipes: list[str] | None, key: PublicKey | None = None) -> dict[Path, str]:
    """The files that are signed, each with what it is and the digest of what was verified of it."""
    from clipspect.bundle.local_records import read_local_records
    from clipspect.bundle.manifest import MANIFEST, read_manifest
    from clipspect.recipes.recipe import read_recipe
    from clipspect.recipes.shelf import own, recipe_names, recipe_path

    files = {}
    if recipes is None:
        digest = bundle.digest if key is None else read_manifest(bundle.path, key)[1]
        files[bundle.path / MANIFEST] = f"manifest {digest}"
        files |= {path: f"precision {digest}" for path, digest in read_local_records(bundle, key).items()}
    for name in recipe_names(bundle) if recipes is None else recipes:
        path = recipe_path(bundle, name)
        files[path] = f"recipe {own(bundle, read_recipe(path, key)).digest}"
    return files
