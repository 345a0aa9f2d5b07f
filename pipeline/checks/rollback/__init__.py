"""rollback: takes out of a target what a load put into it, as far as nobody has changed it since."""
