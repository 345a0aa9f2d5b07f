"""Where exports, output and secrets are kept: folders of this machine, S3, and whatever else Beam has a file system for."""
