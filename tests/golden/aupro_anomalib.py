"""Makes aupro_anomalib.npz: seeded maps and masks, and what anomalib and AnomalyCLIP's code answer for them.

Run once, in an environment of its own (pip install "anomalib[cpu]==2.7.0"), with AnomalyCLIP's metrics.py
(github.com/zqhang/AnomalyCLIP) in the folder that is the argument: python aupro_anomalib.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np


def cases():
    """Name, maps float32 (N, H, W), masks bool."""
    rng = np.random.default_rng(2027)
    for seed, (count, height, width) in enumerate([(3, 24, 32), (2, 40, 17), (4, 16, 16), (1, 48, 48)]):
        masks = blobs(rng, count, height, width)
        noise = rng.random((count, height, width), dtype=np.float32)
        yield f"random_{seed}", noise + masks * np.float32(0.3), masks
        yield f"ties_{seed}", np.round((noise + masks * np.float32(0.4)) * 6) / np.float32(6), masks
    masks = blobs(rng, 3, 20, 20)
    noise = rng.random((3, 20, 20), dtype=np.float32)
    yield "constant", np.full((3, 20, 20), 0.25, np.float32), masks
    yield "perfect", noise * np.float32(0.4) + masks * np.float32(0.5), masks
    yield "inverted", noise - masks * np.float32(2), masks
    yield "saturated", np.clip(noise * np.float32(3) - np.float32(1.5) + masks, 0, 1), masks
    yield "negative", noise * np.float32(1e-3) - np.float32(7), masks
    yield "two_values", masks.astype(np.float32) * (noise > 0.5), masks
    yield "no_defect", noise, np.zeros_like(masks)
    yield "all_defect", noise, np.ones_like(masks)
    one = np.zeros_like(masks)
    one[1, 7, 7] = True
    yield "one_defective_pixel", noise, one
    diagonal = np.broadcast_to(np.eye(20, dtype=bool) | np.eye(20, k=3, dtype=bool)[::-1], (3, 20, 20)).copy()
    yield "corners_touch", noise + diagonal * np.float32(0.1), diagonal
    checks = np.broadcast_to(np.indices((20, 20)).sum(0) % 4 == 0, (3, 20, 20)).copy()
    yield "checks", noise + checks * np.float32(0.1), checks
    sizes = np.zeros_like(masks)
    sizes[0, :15, :15] = sizes[0, 17:, 18] = sizes[2, 0, 0] = True
    yield "a_large_region_and_small_ones", noise + sizes * np.float32(0.2), sizes
    half = np.zeros((1, 10, 10), bool)
    half[0, :, :] = True
    half[0, 0, 0] = False
    yield "one_good_pixel", rng.random((1, 10, 10), dtype=np.float32), half
    tiny = np.zeros((2, 2, 2), bool)
    tiny[1, 0, 1] = True
    yield "one_pixel_of_eight", np.arange(8, dtype=np.float32).reshape(2, 2, 2), tiny
    limit = np.zeros((1, 10, 11), bool)
    limit[0, :, 10] = True
    steps = np.broadcast_to(np.arange(11, dtype=np.float32) / 10, (1, 10, 11)).copy()
    yield "a_step_at_the_limit", steps * np.float32(0.5) + noise[:1, :10, :1] * limit, limit


def blobs(rng, count, height, width):
    """Some rectangles, none in the last mask of several."""
    masks = np.zeros((count, height, width), bool)
    for mask in masks[: max(1, count - 1)]:
        for _ in range(3):
            y, x = rng.integers(0, height - 2), rng.integers(0, width - 2)
            mask[y : y + rng.integers(1, height // 3), x : x + rng.integers(1, width // 3)] = True
    return masks


def main():
    import torch
    from anomalib.metrics.aupro import _AUPRO

    sys.path.insert(0, sys.argv[1])
    from metrics import cal_pro_score

    arrays = {}
    for name, maps, masks in cases():
        maps = np.ascontiguousarray(maps, np.float32)
        metric = _AUPRO(fpr_limit=0.3)
        metric.update(torch.from_numpy(maps), torch.from_numpy(masks.astype(np.int32)))
        exact = float(metric.compute())
        try:
            with np.errstate(all="ignore"):
                papers = float(cal_pro_score(masks.astype(int), maps))
        except (ValueError, ZeroDivisionError) as error:
            print(name, "papers:", error)
            papers = np.nan
        print(f"{name:32} exact {exact:.6f}  papers {papers:.6f}")
        arrays[f"{name}/maps"], arrays[f"{name}/masks"] = maps, masks
        arrays[f"{name}/answers"] = np.array([exact, papers])
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **arrays)


main()
