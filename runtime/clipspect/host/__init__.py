"""What this machine is and can do: processor, memory, GPUs, Jetson, power, and what to install on it."""
