"""The objective: content, style and total variation, measured by a frozen VGG."""
