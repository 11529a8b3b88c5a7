"""What an upscale costs: time by stage, memory, and how near the arithmetic comes to the machine's peak."""
