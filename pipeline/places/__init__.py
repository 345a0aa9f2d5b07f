"""Where exports, output and secrets are kept: folders of this machine, S3, and every other place that Beam has a file system for."""
