"""dead-letters replay: brings in what a load refused, after its cause was mended."""
