"""What the loss of chance is called."""

import math


def chance_name(chance: float, num_clusters: int) -> str:
    """``chance, ln C`` where it is that, as of equally frequent targets; ``chance`` elsewhere."""
    return "chance, ln C" if math.isclose(chance, math.log(num_clusters)) else "chance"
