"""What a request may touch: the route table, the gate and the filtered contents view."""
