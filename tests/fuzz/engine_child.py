"""Opens and runs graphs in onnxruntime, one a line of its input: a process of its own, for an engine can crash.

Each line is a path; the answer is a line of JSON, what onnxruntime read in the file: or the reason why it did not.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

_MOST_SECONDS, _MOST_MEMORY = 60, 4 << 30


def main() -> None:
    onnxruntime.set_default_logger_severity(4)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + _MOST_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        print(json.dumps(_read(Path(line.rstrip("\n")))), flush=True)


def _read(path: Path) -> dict[str, Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for count in (3, 2, 1):  # a divisor can be 1 for one image, and 0 for others
            inputs = {item.name: _zeros(item, count) for item in session.get_inputs()}
            answers = dict(zip((item.name for item in session.get_outputs()), session.run(None, inputs)))
    except Exception as error:  # onnxruntime's have no common base
        return {"refused": str(error)[:500]}
    return {"answers": {name: [str(answer.dtype), list(answer.shape)] for name, answer in answers.items()}}


def _zeros(item: Any, count: int) -> Any:
    kinds = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(int64)": np.int64}
    shape = [side if isinstance(side, int) else count for side in item.shape]
    return np.zeros(shape, kinds[item.type])


if __name__ == "__main__":
    main()
