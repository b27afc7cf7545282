"""Precisions other than fp32: the int8 copy and its calibration, what each costs, and the gate."""
