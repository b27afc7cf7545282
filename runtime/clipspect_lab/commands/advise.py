"""`clipspect advise`: which bundle, judge, number of references and precision suits a user's photographs."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import TYPE_CHECKING

from clipspect.cli.arguments import add_engine, add_require_signature, count, engine_options, rate, whole_number
from clipspect.cli.progress import ProgressBar

if TYPE_CHECKING:
    from clipspect_lab.advice.advise import Advice

_DESCRIPTION = """Try the bundles at hand on your own photographs: every judge that a bundle can do (words, photos,
both), with several numbers of references, and the best in other precisions. With defective parts, image AUROC and what
a limit that the good parts allow catches, each with its interval; without, how steadily good parts score, which says
nothing of what is caught. Milliseconds a frame, memory, one recommendation with its reason. Where the photographs do
not tell candidates apart, that is said, and the cheapest is recommended. References are never scored."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "advise", help="say which bundle, judge and references suit your photographs", description=_DESCRIPTION
    )
    parser.add_argument("good", metavar="GOOD", help="photographs of good parts: a folder, an image, or a glob")
    parser.add_argument("defective", metavar="DEFECTIVE", nargs="?", help="the same of defective parts")
    parser.add_argument(
        "--bundle", metavar="B", dest="bundles", nargs="+", help='(default: "demo" and the bundles in this folder)'
    )
    parser.add_argument("--shots", metavar="K,K", type=_counts, help="numbers of references (default: 1,4,16)")
    parser.add_argument("--object", metavar="TEXT", help="what prompts call it, of bundles that have a text encoder")
    parser.add_argument(
        "--group",
        metavar="PATTERN",
        help="regular expression whose first group, or match, in a path below its folder names the part",
    )
    parser.add_argument("--seed", metavar="S", type=whole_number, default=0, help="of drawing references (default: 0)")
    parser.add_argument(
        "--false-reject-rate", metavar="P", type=rate, help="good parts that at most may fail (default: 1%%)"
    )
    add_require_signature(parser)
    add_engine(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    from clipspect.recipes.promise import FALSE_REJECT_RATE
    from clipspect.sources.registry import files
    from clipspect_lab.advice.advise import SHOTS, advise
    from clipspect_lab.advice.report import advice_document, advice_text

    with ProgressBar("run") as bar:
        found = advise(
            files(args.good),
            () if args.defective is None else files(args.defective),
            bundles=args.bundles,
            shots=args.shots or SHOTS,
            object=args.object,
            group=args.group,
            seed=args.seed,
            false_reject_rate=args.false_reject_rate or FALSE_REJECT_RATE,
            backend=args.backend,
            options=engine_options(args),
            require_signature=args.require_signature,
            progress=bar,
        )
    teach = _teach_command(args, found)
    print(json.dumps(advice_document(found, teach), indent=2) if args.json else advice_text(found, teach))
    return 0


def _teach_command(args: argparse.Namespace, found: Advice) -> str | None:
    """What makes a recipe with limits of the recommended candidate."""
    if (trial := found.recommendation.trial) is None:
        return None
    candidate = trial.candidate
    words = ["clipspect", "teach", candidate.named, "NAME", "--good", args.good]
    words += [] if args.defective is None else ["--defective", args.defective]
    words += ["--judge", candidate.judge]
    words += ["--references", str(candidate.shots)] if candidate.shots else []
    words += ["--object", candidate.words["object"]] if "object" in candidate.words else []
    words += [] if args.group is None else ["--group", args.group]
    words += [] if args.false_reject_rate is None else ["--false-reject-rate", str(args.false_reject_rate)]
    words += ["--backend", trial.backend, "--device", trial.device, "--precision", trial.precision]
    words += [] if args.threads is None else ["--threads", str(args.threads)]
    words += ["--force-precision"] if args.force_precision else []
    words += [] if args.require_signature is None else ["--require-signature", args.require_signature]
    return shlex.join(words)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(count(part.strip()) for part in text.split(","))
