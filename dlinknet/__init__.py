"""Road extraction from satellite and aerial images: D-LinkNet and LinkNet on MindSpore."""

__version__ = "1.0.0"
