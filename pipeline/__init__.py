"""The job: reads an export, makes rows with `transforms`, writes them, and proves that nothing was lost."""

__version__ = "0.1.0"
